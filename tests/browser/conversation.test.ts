import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Page } from 'playwright-core'
import type { TestApp } from '../support/app.ts'
import { launchChromium, type Chromium } from '../support/chromium.ts'
import { text } from '../support/fakeModelServer.ts'
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

/** A person with a browser of their own, and what went wrong on their page. */
async function person(): Promise<{ page: Page; faults: string[] }> {
  const profile = await newProfile(chromium)
  await profile.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: app.url })
  const page = await profile.newPage()
  return { page, faults: watchFaults(page, app) }
}

const composer = (page: Page) => page.getByRole('textbox', { name: 'Message' })
const lastAnswer = (page: Page) => page.locator('article').last()
const textOf = (page: Page) => lastAnswer(page).getByTestId('message-content').innerText()

async function say(page: Page, content: string): Promise<void> {
  await composer(page).fill(content)
  await page.getByRole('button', { name: 'Send' }).click()
}

async function untilComplete(page: Page): Promise<void> {
  await page.locator('article[data-status="COMPLETE"]').nth(1).waitFor()
}

test('two people in one session watch one answer arrive, and a reload in mid-stream loses nothing', async () => {
  const ada = await person()
  await ada.page.goto(app.url)
  await composer(ada.page).waitFor()
  await say(ada.page, 'Hello there, my dear model. [[tokens=120 rate=40 seed=first]]')
  await ada.page.waitForURL(/\/s\//)
  await ada.page.locator('article[data-status="STREAMING"]').waitFor()

  await ada.page.getByRole('button', { name: 'Invite' }).click()
  const linkField = ada.page.getByRole('textbox', { name: 'Invitation link' })
  await expect.poll(() => linkField.inputValue()).toContain('/join#')
  const link = await linkField.inputValue()
  await ada.page.keyboard.press('Escape')

  const grace = await person()
  await grace.page.goto(link)
  await grace.page.waitForURL(/\/s\//)
  await grace.page.locator('article').nth(1).waitFor()

  await ada.page.reload()
  await Promise.all([untilComplete(ada.page), untilComplete(grace.page)])
  const whole = text('first', 120).trim()
  expect((await textOf(ada.page)).trim()).toBe(whole)
  expect((await textOf(grace.page)).trim()).toBe(whole)

  await composer(grace.page).pressSequentially('I am', { delay: 20 })
  await ada.page.getByText(/is typing/).waitFor()
  await say(grace.page, 'I am here too. [[tokens=5 seed=second]]')
  await ada.page.getByText('I am here too.').waitFor()
  await ada.page.locator('article[data-status="COMPLETE"]').nth(3).waitFor()
  expect((await textOf(ada.page)).trim()).toBe(text('second', 5).trim())
  expect([...ada.faults, ...grace.faults]).toEqual([])
})

test('Stop keeps what had arrived', async () => {
  const { page, faults } = await person()
  await page.goto(app.url)
  await composer(page).waitFor()
  await say(page, 'A long one, please. [[tokens=2000 rate=20 seed=third]]')
  await page.locator('article[data-status="STREAMING"]').waitFor()
  await page.getByRole('button', { name: 'Stop' }).click()
  await page.locator('article[data-status="STOPPED"]').waitFor()
  const kept = (await textOf(page)).trim()
  expect(kept.length).toBeGreaterThan(0)
  expect(text('third', 2000).startsWith(kept)).toBe(true)
  await page.getByRole('button', { name: 'Send' }).waitFor()
  expect(faults).toEqual([])
})

test('an answer that a limit cut says so, also after a reload', async () => {
  const { page, faults } = await person()
  await page.goto(app.url)
  await composer(page).waitFor()
  await say(page, 'Hello [[tokens=5 finish=length]]')
  await untilComplete(page)
  const note = lastAnswer(page).getByText('Cut off at the length limit', { exact: true })
  await note.waitFor()
  await page.reload()
  await note.waitFor()
  await say(page, 'Hello [[tokens=5 finish=content_filter]]')
  await lastAnswer(page).getByText("Cut off by the provider's content filter").waitFor()
  expect(await note.count()).toBe(0)
  expect(faults).toEqual([])
})

test('whoever is signed out is told so, and finds what they were writing', async () => {
  const { page, faults } = await person()
  await page.goto(app.url)
  await composer(page).waitFor()
  await say(page, 'Hello. [[tokens=5 seed=fourth]]')
  await page.waitForURL(/\/s\//)
  await untilComplete(page)
  await composer(page).fill('not sent yet')
  await page.context().addCookies([{ name: 'parley_token', value: 'nobody-knows-it', url: app.url }])
  await page.reload()
  await page.getByRole('alert').getByText('You were signed out; you go on as a new guest').waitFor()
  await page.getByRole('button', { name: 'To the start' }).click()
  expect(await composer(page).inputValue()).toBe('not sent yet')
  await page.getByRole('button', { name: 'Close', exact: true }).click()
  await page.reload()
  await composer(page).waitFor()
  expect(await page.getByText('You were signed out').count()).toBe(0)
  expect(faults).toEqual([])
})
