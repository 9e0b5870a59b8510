import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Page } from 'playwright-core'
import type { TestApp } from '../support/app.ts'
import { launchChromium, type Chromium } from '../support/chromium.ts'
import { createSession, join } from '../support/operations.ts'
import { newProfile, startTimeoutMs, startWithPage, watchFaults } from './webPage.ts'

let app: TestApp
let chromium: Chromium

beforeAll(async () => {
  app = await startWithPage()
  chromium = await launchChromium()
}, startTimeoutMs)

afterAll(async () => {
  await chromium?.stop()
  await app?.stop()
})

const ready = (page: Page) => page.getByRole('textbox', { name: 'Message' }).waitFor()
const nameOn = async (page: Page) =>
  (await page.locator('[title^="Signed in as "]').getAttribute('title'))!.slice('Signed in as '.length)
const openAccount = (page: Page) => page.getByRole('button', { name: /^Your account/ }).click()

async function newGuest(): Promise<{ page: Page; token: string }> {
  const context = await newProfile(chromium)
  const page = await context.newPage()
  await page.goto(app.url)
  await ready(page)
  const token = (await context.cookies()).find(({ name }) => name === 'parley_token')!.value
  return { page, token }
}

test('one gives oneself another name, which stays and which others see at once', async () => {
  const [one, other] = [await newGuest(), await newGuest()]
  const faults = watchFaults(one.page, app)
  const [me, them] = [
    { id: '', name: '', token: one.token },
    { id: '', name: '', token: other.token },
  ]
  const sessionId = await createSession(app, them, { title: 'Ours' })
  await join(app, them, me, sessionId)
  await other.page.goto(`${app.url}/s/${sessionId}`)
  await ready(other.page)
  await other.page.getByRole('button', { name: /people/i }).click()

  await openAccount(one.page)
  const dialog = one.page.getByRole('dialog', { name: 'Your account' })
  await dialog.getByLabel('Your name, as others see it').fill('  Ada אדה ')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await dialog.waitFor({ state: 'detached' })
  expect(await nameOn(one.page)).toBe('Ada אדה')
  await other.page.getByRole('dialog').getByText('Ada אדה').waitFor()
  await one.page.reload()
  await ready(one.page)
  expect(await nameOn(one.page)).toBe('Ada אדה')
  expect(faults).toEqual([])
})

test('a name that the server refuses is said so, and the dialog stays', async () => {
  const { page } = await newGuest()
  const before = await nameOn(page)
  await openAccount(page)
  const dialog = page.getByRole('dialog', { name: 'Your account' })
  const field = dialog.getByLabel('Your name, as others see it')
  await field.fill('   ')
  expect(await dialog.getByRole('button', { name: 'Save' }).isDisabled()).toBe(true)
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })
  expect(await nameOn(page)).toBe(before)
})

test('whoever signs out goes on as a new guest, and the former token is good for nothing', async () => {
  const { page, token } = await newGuest()
  const before = await nameOn(page)
  await openAccount(page)
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByText('You were signed out').waitFor()
  await ready(page)
  expect(await nameOn(page)).not.toBe(before)
  await expect(app.services.identity.verify(token)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
})

test('an account is deleted only under its name, and is gone with its sessions', async () => {
  const { page, token } = await newGuest()
  const name = await nameOn(page)
  const sessionId = await createSession(app, { id: '', name, token }, { title: 'Mine' })
  await page.goto(`${app.url}/s/${sessionId}`)
  await ready(page)
  await openAccount(page)
  await page.getByRole('button', { name: 'Delete account…' }).click()
  const dialog = page.getByRole('dialog', { name: 'Delete your account?' })
  const remove = dialog.getByRole('button', { name: 'Delete account' })
  await dialog.getByRole('textbox').fill('Somebody else')
  expect(await remove.isDisabled()).toBe(true)
  await dialog.getByRole('textbox').fill(name)
  await remove.click()
  await page.getByText('You were signed out').waitFor()
  await ready(page)
  expect(await nameOn(page)).not.toBe(name)
  const { read } = app.services.storage
  expect(await read.all('SELECT id FROM sessions WHERE id = ?', [sessionId])).toEqual([])
  await expect(app.services.identity.verify(token)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
})
