import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { CDPSession, Page } from 'playwright-core'
import type { TestApp } from '../support/app.ts'
import { launchChromium, type Chromium } from '../support/chromium.ts'
import { gql, signIn, type Person } from '../support/clients.ts'
import { newProfile, startTimeoutMs, startWithPage } from './webPage.ts'

const answers = 30

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

async function ask<Data>(query: string, input: object): Promise<Data> {
  return gql<Data & Record<string, unknown>>(app, query, { input }, ada)
}

async function createSession(): Promise<string> {
  const { createSession: made } = await ask<{ createSession: { session: { id: string } } }>(
    'mutation ($input: CreateSessionInput!) { createSession(input: $input) { ... on CreateSessionSuccess { session { id } } } }',
    {},
  )
  return made.session.id
}

const send = (sessionId: string, content: string, respond = true) =>
  ask('mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename ... on Error { message } } }', {
    sessionId,
    content,
    respond,
  })

describe.each([
  ['a short conversation', 10],
  ['a virtual list', 210],
])('in %s', (_name, before) => {
  let page: Page
  let browser: CDPSession
  let sessionId: string

  beforeEach(async () => {
    sessionId = await createSession()
    for (let n = 0; n < before; n++) await send(sessionId, `Message ${n}: ${'and so on, '.repeat((n * 7) % 40)}`, false)
    app.fake.script(() => ({ status: 400, body: '{"error":{"message":"no"}}' }))
    for (let n = 0; n < 2; n++) await send(sessionId, `A question that fails ${n}`)
    app.fake.script(() => ({ tokens: 120, rate: 0 }))
    const profile = await newProfile(chromium)
    await profile.addCookies([{ name: 'parley_token', value: ada.token, url: app.url }])
    page = await profile.newPage()
    await page.goto(`${app.url}/s/${sessionId}`)
    await page.getByText('A question that fails 1').waitFor()
    browser = await page.context().newCDPSession(page)
    await browser.send('Emulation.setCPUThrottlingRate', { rate: 4 })
    return () => page.context().close()
  }, startTimeoutMs)

  const leftPx = () =>
    page.evaluate(() => {
      const scroller = document.querySelector('[role=log]')!.parentElement!.parentElement!
      return Math.round(scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight)
    })
  /** Once the last token of the newest answer is there. */
  const settled = () =>
    page
      .locator('article[data-message-id]')
      .last()
      .getByText(/\b119:/)
      .waitFor()

  it(
    'opens at its end, and answers that come at once never leave the view above it',
    { timeout: 300_000 },
    async () => {
      await expect.poll(leftPx).toBeLessThanOrEqual(1)
      for (let n = 0; n < answers; n++) {
        await send(sessionId, `Question ${n}.`)
        await page.getByText(`Question ${n}.`, { exact: true }).waitFor()
        await settled()
        await expect.poll(leftPx).toBeLessThanOrEqual(1)
      }
      expect(await page.getByRole('button', { name: 'To the newest message' }).count()).toBe(0)
    },
  )

  it('one notch of the wheel up always lets go', { timeout: 120_000 }, async () => {
    await expect.poll(leftPx).toBeLessThanOrEqual(1)
    const pill = page.getByRole('button', { name: 'To the newest message' })
    app.fake.script(() => ({ tokens: 3_000, rate: 300 }))
    await send(sessionId, 'A long one.')
    await page.getByText('A long one.', { exact: true }).waitFor()
    await page.mouse.move(600, 400)
    for (let n = 0; n < 8; n++) {
      await page.mouse.wheel(0, -100)
      await pill.waitFor()
      await pill.click()
      await pill.waitFor({ state: 'detached' })
    }
    expect(await pill.count()).toBe(0)
  })
})
