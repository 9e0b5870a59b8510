import { afterAll, beforeAll, expect, test } from 'vitest'
import type { BrowserContext, Page } from 'playwright-core'
import type { TestApp } from '../support/app.ts'
import { launchChromium, type Chromium } from '../support/chromium.ts'
import { gql } from '../support/clients.ts'
import { newProfile, startTimeoutMs, startWithPage } from './webPage.ts'

let app: TestApp
let chromium: Chromium
let context: BrowserContext

beforeAll(async () => {
  app = await startWithPage()
  chromium = await launchChromium()
  context = await newProfile(chromium)
}, startTimeoutMs)

afterAll(async () => {
  await chromium?.stop()
  await app?.stop()
})

async function say(page: Page, content: string): Promise<void> {
  await page.getByRole('textbox', { name: 'Message' }).fill(content)
  await page.getByRole('button', { name: 'Send' }).click()
}

test('what was written without a network outlives a reload, and is sent once, under its id, when there is one', async () => {
  const page = await context.newPage()
  await page.goto(app.url)
  await page.getByRole('textbox', { name: 'Message' }).waitFor()
  await say(page, 'Hello. [[tokens=3 seed=first]]')
  await page.locator('article[data-status="COMPLETE"]').nth(1).waitFor()
  const address = page.url()
  const token = (await context.cookies()).find(({ name }) => name === 'parley_token')!.value

  await context.setOffline(true)
  const unsent = page.locator('article[data-status="UNSENT"]')
  await say(page, 'Written on the train. [[tokens=3 seed=second]]')
  await say(page, 'And in the tunnel. [[tokens=3 seed=third]]')
  await unsent.nth(0).getByText('It is sent as soon as that changes').waitFor()
  const isLeft = page.locator('article[data-status="SENDING"], article[data-status="UNSENT"]')
  await expect.poll(() => isLeft.count()).toBe(2)
  const ids = await isLeft.evaluateAll((articles) => articles.map((article) => article.dataset.messageId))
  await expect.poll(() => page.evaluate(keptMessages)).toBe(2)
  await expect(page.reload()).rejects.toThrow('ERR_INTERNET_DISCONNECTED')
  await page.close()

  await context.setOffline(false)
  const later = await context.newPage()
  await later.goto(address)
  await later.locator('article[data-status="COMPLETE"]').nth(5).waitFor()
  expect(await later.locator('article').count()).toBe(6)
  expect(await later.locator('article[data-status="UNSENT"], article[data-status="SENDING"]').count()).toBe(0)

  const { session } = await gql<{
    session: { messages: { edges: { node: { id: string; role: string; content: string } }[] } }
  }>(
    app,
    'query ($id: ID!) { session(id: $id) { messages { edges { node { id role content } } } } }',
    { id: new URL(address).pathname.split('/').at(-1) },
    { token },
  )
  const sent = session.messages.edges.map(({ node }) => node).filter(({ role }) => role === 'USER')
  expect(sent.slice(1)).toEqual([
    { id: ids[0], role: 'USER', content: 'Written on the train. [[tokens=3 seed=second]]' },
    { id: ids[1], role: 'USER', content: 'And in the tunnel. [[tokens=3 seed=third]]' },
  ])

  // Nothing is kept that a later reload would send again.
  await expect.poll(() => later.evaluate(keptMessages)).toBe(0)
})

/** Runs in the page: how many messages its IndexedDB holds. */
async function keptMessages(): Promise<number> {
  const factory = indexedDB
  let count = 0
  for (const { name } of await factory.databases()) {
    count += await new Promise<number>((resolve, reject) => {
      const opening = factory.open(name!)
      opening.onerror = () => reject(new Error('The database can’t be opened.'))
      opening.onsuccess = () => {
        const counting = opening.result.transaction('unsent').objectStore('unsent').count()
        counting.onsuccess = () => resolve(counting.result)
      }
    })
  }
  return count
}
