import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Page } from 'playwright-core'
import type { TestApp } from '../support/app.ts'
import { launchChromium, type Chromium } from '../support/chromium.ts'
import { signIn, type Person } from '../support/clients.ts'
import { createSession } from '../support/operations.ts'
import { newProfile, startTimeoutMs, startWithPage } from './webPage.ts'
import { startTextModel, type TextModel } from './textModel.ts'

const answer = `שלום עולם, זה טקסט בעברית עם English בפנים.

- פריט ראשון
- פריט שני

> ציטוט בעברית.

مرحبا، هذا نص عربي مع كلمة English.

English again, with \`code\` and שלום inside.

\`\`\`js
const greeting = 'שלום'
\`\`\``

const hostile = '>'.repeat(1_900)

let app: TestApp
let chromium: Chromium
let model: TextModel
let ada: Person
let page: Page
beforeAll(async () => {
  model = await startTextModel([answer, hostile])
  app = await startWithPage({ env: { LOCAL_BASE_URL: model.url } })
  chromium = await launchChromium()
  ada = await signIn(app)
  const profile = await newProfile(chromium)
  await profile.addCookies([{ name: 'parley_token', value: ada.token, url: app.url }])
  page = await profile.newPage()
  await page.goto(`${app.url}/s/${await createSession(app, ada)}`)
}, startTimeoutMs)
afterAll(async () => {
  await chromium?.stop()
  await app?.stop()
  await model?.stop()
})

async function ask(text: string): Promise<void> {
  await page.getByRole('textbox', { name: 'Message' }).fill(text)
  await page.keyboard.press('Enter')
}

const directionOf = (text: string) =>
  page
    .getByText(text)
    .last()
    .evaluate((element) => getComputedStyle(element).direction)

test('each block has the direction of its own text, with its marks on that side', async () => {
  await ask('say 0')
  await page.getByText('const greeting').waitFor()
  for (const text of ['זה טקסט בעברית', 'פריט ראשון', 'ציטוט בעברית', 'هذا نص عربي'])
    expect(await directionOf(text)).toBe('rtl')
  for (const text of ['English again', 'const greeting']) expect(await directionOf(text)).toBe('ltr')
  const quote = await page.locator('.prose blockquote').evaluate((element) => {
    const { borderRightWidth, borderLeftWidth } = getComputedStyle(element)
    return { borderRightWidth, borderLeftWidth }
  })
  expect(quote).toEqual({ borderRightWidth: '3px', borderLeftWidth: '0px' })
  const list = await page.locator('.prose ul').evaluate((element) => getComputedStyle(element).paddingRight)
  expect(Number.parseFloat(list)).toBeGreaterThan(0)
  if (process.env.SHOT) await page.screenshot({ path: process.env.SHOT })
})

test('an answer that can not be lexed is shown as text, and the page goes on', async () => {
  await ask('say 1')
  await page.getByText('>'.repeat(50)).waitFor()
  await page.getByRole('textbox', { name: 'Message' }).fill('שלום')
  expect(await page.getByRole('textbox', { name: 'Message' }).evaluate((box) => getComputedStyle(box).direction)).toBe(
    'rtl',
  )
})
