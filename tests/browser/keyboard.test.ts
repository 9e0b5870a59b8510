import { afterAll, beforeAll, expect, test } from 'vitest'
import type { BrowserContext, Page } from 'playwright-core'
import type { TestApp } from '../support/app.ts'
import { launchChromium, type Chromium } from '../support/chromium.ts'
import { signIn, type Person } from '../support/clients.ts'
import { createSession, join, send } from '../support/operations.ts'
import { newProfile, startTimeoutMs, startWithPage } from './webPage.ts'

let app: TestApp
let chromium: Chromium
let ada: Person
beforeAll(async () => {
  app = await startWithPage()
  chromium = await launchChromium()
  ada = await signIn(app)
}, startTimeoutMs)
afterAll(async () => {
  await chromium?.stop()
  await app?.stop()
})

async function openAs(person: Person, path: string, context?: BrowserContext): Promise<Page> {
  const profile = context ?? (await newProfile(chromium))
  await profile.addCookies([{ name: 'parley_token', value: person.token, url: app.url }])
  const page = await profile.newPage()
  await page.goto(`${app.url}${path}`)
  return page
}

const composer = (page: Page) => page.getByRole('textbox', { name: 'Message' })
const focused = (page: Page) =>
  page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.tagName)
const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })
const sessionCount = async () => (await app.services.storage.read.all(`SELECT id FROM sessions`)).length

test('focus goes on where it was, or to the composer, when what had it goes away', async () => {
  const page = await openAs(ada, `/s/${await createSession(app, ada)}`)
  await composer(page).waitFor()
  await expect.poll(() => focused(page)).toBe('Message')

  for (const name of ['Rename', 'Delete']) {
    await button(page, name).focus()
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(await focused(page)).toBe(name)
  }

  await button(page, 'Hide the list of sessions').press('Enter')
  await expect.poll(() => focused(page)).toBe('Show the list of sessions')
  await page.keyboard.press('Enter')
  await expect.poll(() => focused(page)).toBe('Hide the list of sessions')

  await composer(page).fill('Long. [[tokens=3000 rate=200 seed=focus]]')
  await page.keyboard.press('Enter')
  await page.locator('article[data-status="STREAMING"]').waitFor()
  await expect.poll(() => page.evaluate(() => document.querySelector('[role=log]')!.scrollHeight)).toBeGreaterThan(900)
  await page.mouse.move(700, 300)
  await page.mouse.wheel(0, -300)
  await button(page, 'To the newest message').press('Enter')
  await expect.poll(() => focused(page)).toBe('Message')
  await button(page, 'Stop').press('Enter')
  await page.locator('article[data-status="STOPPED"]').waitFor()
  expect(await focused(page)).toBe('Message')
  await page.context().close()
})

test('Esc stops an answer of one’s own, but not from the search, and nobody else’s', async () => {
  const sessionId = await createSession(app, ada)
  const grace = await signIn(app, 'Grace')
  await join(app, ada, grace, sessionId)
  const [own, other] = [await openAs(ada, `/s/${sessionId}`), await openAs(grace, `/s/${sessionId}`)]
  await send(app, ada, sessionId, 'Long. [[tokens=3000 rate=50 seed=esc]]')
  for (const page of [own, other]) await page.locator('article[data-status="STREAMING"]').waitFor()

  await composer(other).press('Escape')
  await own.getByRole('searchbox').press('Escape')
  // both were handled: what follows is stopped by the same key, from the composer of whoever asked
  expect(await own.locator('article[data-status="STREAMING"]').count()).toBe(1)
  await composer(own).press('Escape')
  await other.locator('article[data-status="STOPPED"]').waitFor()
  await Promise.all([own.context().close(), other.context().close()])
})

test('New session makes none on the server until something is said, and the start page keeps what is typed meanwhile', async () => {
  const page = await openAs(ada, `/s/${await createSession(app, ada)}`)
  await composer(page).waitFor()
  const before = await sessionCount()
  for (let n = 0; n < 5; n++) await button(page, 'New session').click()
  await page.waitForURL(`${app.url}/`)
  await expect.poll(() => focused(page)).toBe('Message')
  expect(await sessionCount()).toBe(before)
  await page.getByRole('list', { name: 'Suggestions' }).waitFor()
  if (process.env.SHOT) await page.screenshot({ path: `${process.env.SHOT}-start.png` })

  let release = (): void => undefined
  const held = new Promise<void>((resolve) => (release = resolve))
  await page.route('**/graphql', async (route) => {
    if ((route.request().postData() ?? '').includes('CreateSession')) await held
    await route.continue()
  })
  await composer(page).fill('Hello [[tokens=3]]')
  await page.keyboard.press('Enter')
  await page.keyboard.type('and another thing')
  release()
  await page.waitForURL(/\/s\//)
  await page.getByText('Hello [[tokens=3]]').first().waitFor()
  await expect.poll(() => composer(page).inputValue()).toBe('and another thing')
  expect(await sessionCount()).toBe(before + 1)
  await page.context().close()
})

test('Try again asks once, in one’s own name, and folds what failed', async () => {
  const sessionId = await createSession(app, ada)
  const grace = await signIn(app, 'Grace')
  await join(app, ada, grace, sessionId)
  await send(app, ada, sessionId, 'Please fail [[status=400]]')
  const [own, other] = [await openAs(ada, `/s/${sessionId}`), await openAs(grace, `/s/${sessionId}`)]
  for (const page of [own, other]) await page.locator('article[data-status="FAILED"]').waitFor()
  expect(await button(other, 'Try again').count()).toBe(0)

  await button(own, 'Try again').dblclick()
  await own.getByText('Asked again below').waitFor()
  await expect.poll(() => own.locator('article[data-status="FAILED"]').count()).toBe(2)
  await expect.poll(() => own.locator('article').count()).toBe(4)
  expect(await button(own, 'Try again').count()).toBe(1)
  if (process.env.SHOT) await own.screenshot({ path: `${process.env.SHOT}-again.png` })
  await Promise.all([own.context().close(), other.context().close()])
})

test('on a phone Enter begins a line, and pages that lead nowhere lead back', async () => {
  const phone = await chromium.browser.newContext({
    viewport: { width: 390, height: 844 },
    hasTouch: true,
    isMobile: true,
  })
  const page = await openAs(ada, '/nowhere', phone)
  await page.getByRole('heading', { name: 'There is no such page' }).waitFor()
  await button(page, 'Show the list of sessions').waitFor()
  await button(page, 'Back to start').tap()
  await composer(page).waitFor()
  expect(await focused(page)).not.toBe('Message')
  await composer(page).tap()
  await page.keyboard.type('one')
  await page.keyboard.press('Enter')
  await page.keyboard.type('two')
  expect(await composer(page).inputValue()).toBe('one\ntwo')

  await page.goto(`${app.url}/join#nonsense`)
  await page.getByRole('heading', { name: 'Couldn’t join' }).waitFor()
  await button(page, 'Back to start').tap()
  await composer(page).waitFor()
  await phone.close()
})
