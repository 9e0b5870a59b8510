import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Page } from 'playwright-core'
import type { TestApp } from '../support/app.ts'
import { launchChromium, type Chromium } from '../support/chromium.ts'
import { gql, signIn, type Person } from '../support/clients.ts'
import { newProfile, startTimeoutMs, startWithPage } from './webPage.ts'

const count = 300
const stepPx = 500
/** Heights are fractions of pixels, positions of scrolling are not. */
const slackPx = 2

let app: TestApp
let chromium: Chromium
let page: Page
let ada: Person
let sessionId: string

beforeAll(async () => {
  app = await startWithPage()
  chromium = await launchChromium()
  ada = await signIn(app)
  sessionId = await createSession()
  for (let index = 1; index <= count; index++) await send(index)
  const profile = await newProfile(chromium)
  await profile.addCookies([{ name: 'parley_token', value: ada.token, url: app.url }])
  page = await profile.newPage()
  await page.goto(`${app.url}/s/${sessionId}`)
  await message(count).waitFor()
}, startTimeoutMs)

afterAll(async () => {
  await chromium?.stop()
  await app?.stop()
})

async function createSession(): Promise<string> {
  const { createSession: made } = await gql<{ createSession: { session: { id: string } } }>(
    app,
    'mutation { createSession(input: {}) { ... on CreateSessionSuccess { session { id } } } }',
    {},
    ada,
  )
  return made.session.id
}

/** Stores message number `index`, of one to some twenty lines, which nobody answers. */
async function send(index: number): Promise<void> {
  const content = `Message ${index}: ${'and so it goes on, '.repeat((index * 37) % 90)}`
  const { sendMessage } = await gql<{ sendMessage: { sent: { id: string } } }>(
    app,
    `mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
      ... on SendMessageSuccess { sent { id } } ... on Error { message } } }`,
    { input: { sessionId, content, respond: false } },
    ada,
  )
  expect(sendMessage.sent.id).toBeTruthy()
}

const message = (index: number) => page.locator('article', { hasText: new RegExp(`^Message ${index}:`) })
const log = () => page.getByRole('log', { name: 'Conversation' })

/** How far the view is from the end of the conversation, in pixels. */
function leftPx(): Promise<number> {
  return page.evaluate(() => {
    const scroller = document.querySelector('[role=log]')!.parentElement!.parentElement!
    return Math.round(scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight)
  })
}

interface Watch {
  /** How far what is in view has moved down since, and in each frame. */
  movedPx: number
  moves: number[]
  /** The largest difference in one frame between messages that should have moved as one. */
  tornPx: number
  blankFrames: number
  framesAtTop: number
  mostOnPage: number
}

/** Notes at every frame where the messages in view are. */
async function watch(): Promise<{ now(): Promise<Watch> }> {
  await page.evaluate(() => {
    const scroller = document.querySelector('[role=log]')!.parentElement!.parentElement!
    const { top, bottom } = scroller.getBoundingClientRect()
    const seen: Watch = { movedPx: 0, moves: [], tornPx: 0, blankFrames: 0, framesAtTop: 0, mostOnPage: 0 }
    let before = new Map<string, number>()
    function look() {
      const now = new Map<string, number>()
      const articles = [...document.querySelectorAll<HTMLElement>('article')]
      for (const article of articles) {
        const box = article.getBoundingClientRect()
        const isShown = box.bottom > top && box.top < bottom && article.checkVisibility({ visibilityProperty: true })
        if (isShown) now.set(article.dataset.messageId!, box.top)
      }
      const moved = [...now].filter(([id]) => before.has(id)).map(([id, y]) => y - before.get(id)!)
      if (now.size === 0) seen.blankFrames += 1
      if (moved.length > 0) {
        seen.moves.push(moved[0]!)
        seen.movedPx += moved[0]!
        seen.tornPx = Math.max(seen.tornPx, Math.max(...moved) - Math.min(...moved))
      }
      if (scroller.scrollTop <= 0) seen.framesAtTop += 1
      seen.mostOnPage = Math.max(seen.mostOnPage, articles.length)
      before = now
      requestAnimationFrame(look)
    }
    look()
    Object.assign(window, { seen })
  })
  return { now: () => page.evaluate(() => (window as unknown as { seen: Watch }).seen) }
}

test('a long conversation opens at its end and goes on following it', async () => {
  await expect.poll(leftPx).toBeLessThanOrEqual(1)
  await send(count + 1)
  await message(count + 1).waitFor()
  await expect.poll(leftPx).toBeLessThanOrEqual(1)
  expect(await log().count()).toBe(1)
})

test('the arrows go from message to message, and Tab stops at one', async () => {
  await page.getByRole('textbox', { name: 'Message' }).focus()
  await page.keyboard.press('Shift+Tab')
  const focused = () => page.evaluate(() => document.activeElement?.closest('article')?.textContent.split(':')[0])
  await message(count + 1).focus()
  for (let step = 1; step <= 12; step++) {
    await page.keyboard.press('ArrowUp')
    await expect.poll(focused).toBe(`Message ${count + 1 - step}`)
  }
  expect(await page.locator('article[tabindex="0"]').count()).toBe(1)
  await page.keyboard.press('ArrowDown')
  await expect.poll(focused).toBe(`Message ${count - 10}`)
})

test('scrolling up lets go of the end, and older pages come without a jump', { timeout: 120_000 }, async () => {
  await page.getByRole('textbox', { name: 'Message' }).focus()
  await page.getByRole('button', { name: 'To the newest message' }).click()
  await expect.poll(leftPx).toBeLessThanOrEqual(1)
  const box = (await log().locator('xpath=../..').boundingBox())!
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2)
  const seen = await watch()
  const movedPx = async () => (await seen.now()).movedPx

  for (let turns = 1; (await message(count - 120).count()) === 0; turns++) {
    const before = await movedPx()
    const { framesAtTop } = await seen.now()
    await page.mouse.wheel(0, -stepPx)
    // One turn of the wheel at a time: only so is every move of what is in view accounted for.
    await expect
      .poll(
        async () => (await seen.now()).framesAtTop > framesAtTop || (await movedPx()) >= before + stepPx - slackPx,
        {
          interval: 5,
        },
      )
      .toBe(true)
    expect(await movedPx()).toBeLessThanOrEqual(turns * (stepPx + 1))
  }
  await expect.poll(async () => (await seen.now()).moves.slice(-12).every((px) => px === 0)).toBe(true)
  const { moves, tornPx, blankFrames, mostOnPage } = await seen.now()
  expect(Math.min(...moves)).toBeGreaterThanOrEqual(-slackPx)
  expect(Math.max(...moves)).toBeLessThanOrEqual(stepPx + slackPx)
  expect({ isTorn: tornPx > slackPx, blankFrames }).toEqual({ isTorn: false, blankFrames: 0 })
  expect(mostOnPage).toBeLessThan(100)

  await send(count + 2)
  await page.getByRole('button', { name: 'To the newest message' }).waitFor()
  const there = await movedPx()
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))))
  expect(Math.abs((await movedPx()) - there)).toBeLessThanOrEqual(slackPx)
  await page.getByRole('button', { name: 'To the newest message' }).click()
  await message(count + 2).waitFor()
  await expect.poll(leftPx).toBeLessThanOrEqual(1)
})
