import { afterAll, beforeAll, expect, test } from 'vitest'
import type { BrowserContext, Page } from 'playwright-core'
import { signToken, type TestApp } from '../support/app.ts'
import { launchChromium, type Chromium } from '../support/chromium.ts'
import { gql } from '../support/clients.ts'
import { createSession } from '../support/operations.ts'
import { newProfile, startTimeoutMs, startWithPage } from './webPage.ts'

let app: TestApp
let closed: TestApp
let chromium: Chromium

beforeAll(async () => {
  app = await startWithPage()
  closed = await startWithPage({ env: { AUTH: 'jwt' } })
  chromium = await launchChromium()
}, startTimeoutMs)

afterAll(async () => {
  await chromium?.stop()
  await app?.stop()
  await closed?.stop()
})

const ready = (page: Page) => page.getByRole('textbox', { name: 'Message' }).waitFor()
const nameOn = async (page: Page) =>
  (await page.locator('[title^="Signed in as "]').getAttribute('title'))!.slice('Signed in as '.length)
const tokenOf = async (context: BrowserContext) =>
  (await context.cookies()).find(({ name }) => name === 'parley_token')?.value
const accounts = async () => (await app.services.storage.read.all('SELECT id FROM users')).length

/** Everything that a script on the page could find, with the token's own three parts in it or not. */
const readable = (page: Page) =>
  page.evaluate(async () => {
    const stores = await indexedDB.databases()
    return JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }, stores, location.href])
  })

test('a guest stays signed in over a reload and in a second tab, and no script on the page can read the token', async () => {
  const context = await newProfile(chromium)
  const page = await context.newPage()
  await page.goto(app.url)
  await ready(page)
  const [name, before, token] = [await nameOn(page), await accounts(), await tokenOf(context)]
  expect(token!.split('.')).toHaveLength(3)
  const [cookie] = await context.cookies()
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict', path: '/' })
  expect(await page.evaluate(() => document.cookie)).toBe('')
  expect(await readable(page)).not.toContain(token!.split('.')[1]!.slice(0, 20))

  await page.reload()
  await ready(page)
  const second = await context.newPage()
  await second.goto(app.url)
  await ready(second)
  expect([await nameOn(page), await nameOn(second), await accounts()]).toEqual([name, name, before])
})

test('many tabs that open at once are one guest', async () => {
  const context = await newProfile(chromium)
  const before = await accounts()
  const pages = await Promise.all(Array.from({ length: 4 }, () => context.newPage()))
  await Promise.all(pages.map((page) => page.goto(app.url)))
  await Promise.all(pages.map(ready))
  expect(new Set(await Promise.all(pages.map(nameOn))).size).toBe(1)
  expect(await accounts()).toBe(before + 1)
})

test('a token that an earlier version kept within reach of scripts is moved out of it, and goes on', async () => {
  const context = await newProfile(chromium)
  const page = await context.newPage()
  const token = await signToken({ sub: 'former', name: 'Former guest' })
  await page.goto(`${app.url}/favicon.svg`)
  await page.evaluate((kept) => localStorage.setItem('parley.token', kept), token)
  await page.goto(app.url)
  await ready(page)
  expect(await nameOn(page)).toBe('Former guest')
  expect(await tokenOf(context)).toBe(token)
  expect(await readable(page)).not.toContain(token)
})

test('when the token is revoked elsewhere all tabs say so, and go on as one new guest', async () => {
  const context = await newProfile(chromium)
  const pages = [await context.newPage(), await context.newPage()]
  for (const page of pages) {
    await page.goto(app.url)
    await ready(page)
  }
  const [name, token] = [await nameOn(pages[0]!), (await tokenOf(context))!]
  await gql(app, 'mutation { signOut { __typename } }', {}, { token })
  for (const page of pages) await page.getByText('You were signed out; you go on as a new guest').waitFor()
  const names = await Promise.all(pages.map(nameOn))
  expect(new Set(names).size).toBe(1)
  expect(names).not.toContain(name)
  expect(await tokenOf(context)).not.toBe(token)
})

test('where only tokens from elsewhere are taken the form keeps one in the cookie, and a wrong one is refused', async () => {
  const context = await newProfile(chromium)
  const page = await context.newPage()
  await page.goto(closed.url)
  const field = page.getByLabel('Access token')
  await field.fill('nonsense')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText('The server doesn’t take this token').waitFor()
  expect(await tokenOf(context)).toBeUndefined()

  const token = await signToken({ sub: 'olive', name: 'Olive' })
  await field.fill(token)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await ready(page)
  await page.reload()
  await ready(page)
  expect(await nameOn(page)).toBe('Olive')
  expect(await readable(page)).not.toContain(token)

  await gql(closed, 'mutation { signOut { __typename } }', {}, { token })
  await field.waitFor()
})

test('GraphiQL asks as the viewer of the page, also over WebSocket, or as its header says', async () => {
  const context = await newProfile(chromium)
  const page = await context.newPage()
  await page.goto(app.url)
  await ready(page)
  const [name, token] = [await nameOn(page), (await tokenOf(context))!]
  const sessionId = await createSession(app, { id: '', name, token })
  const ask = async (query: string): Promise<void> => {
    await page.goto(`${app.url}/graphql?${new URLSearchParams({ query })}`)
    await page.getByRole('button', { name: /^Execute query/ }).click()
  }
  const result = page.locator('.graphiql-response')
  // a position that the log does not have
  await ask(`subscription { sessionEvents(sessionId: "${sessionId}", after: 999) { __typename } }`)
  await result.getByText('Resync').waitFor()
  await ask('{ viewer { name } }')
  await result.getByText(name).waitFor()

  const grace = await signToken({ sub: 'grace', name: 'Grace' })
  await page.getByRole('button', { name: 'Headers' }).click()
  await page.locator('.graphiql-editor-tool .monaco-editor:visible').click()
  await page.keyboard.insertText(JSON.stringify({ authorization: `Bearer ${grace}` }))
  await page.getByRole('button', { name: /^Execute query/ }).click()
  await result.getByText('Grace').waitFor()
  expect(await readable(page)).not.toContain(grace)
})
