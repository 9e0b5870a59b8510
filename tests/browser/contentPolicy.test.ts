import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Page } from 'playwright-core'
import { startApp, type TestApp } from '../support/app.ts'
import { launchChromium, type Chromium } from '../support/chromium.ts'
import { newProfile, startTimeoutMs, startWithPage, watchFaults } from './webPage.ts'

let app: TestApp
let persisted: TestApp
let chromium: Chromium

beforeAll(async () => {
  app = await startApp()
  persisted = await startWithPage({ env: { PERSISTED_ONLY: '1', DEFAULT_MODEL: 'demo/demo' } })
  chromium = await launchChromium()
}, startTimeoutMs)
afterAll(async () => {
  await chromium?.stop()
  await Promise.all([app?.stop(), persisted?.stop()])
})

/** A page, in a browser of its own, and whatever its policy refused and it asked of others. */
async function open(server: TestApp): Promise<{ page: Page; faults: string[] }> {
  const context = await newProfile(chromium)
  const page = await context.newPage()
  const faults = watchFaults(page, server, /^(data|blob):/)
  await context.exposeBinding('refusedByPolicy', (_source, what: string) => void faults.push(what))
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sample, sourceFile }) => {
      const { refusedByPolicy } = globalThis as unknown as { refusedByPolicy: (what: string) => void }
      refusedByPolicy([violatedDirective, blockedURI, sample, sourceFile].join(' '))
    })
  })
  page.on('console', (message) => {
    if (/content security policy|trusted/i.test(message.text())) faults.push(message.text())
  })
  return { page, faults }
}

/** Asks from within a page, by the cookie that it has. */
const ask = (page: Page, query: string): Promise<{ data: Record<string, unknown> }> =>
  page.evaluate(
    async (text) =>
      (
        await fetch('/graphql', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ query: text }),
        })
      ).json() as Promise<{ data: Record<string, unknown> }>,
    query,
  )

test('GraphiQL runs a query and a subscription, and its policy refuses nothing that it does', async () => {
  const { page, faults } = await open(app)
  const result = page.locator('.result-window')
  const run = page.getByRole('button', { name: /execute query/i })

  await page.goto(`${app.url}/graphql?query=${encodeURIComponent('{ health { status } }')}`)
  await run.click()
  await expect.poll(() => result.innerText(), { timeout: 20_000 }).toContain('"HEALTHY"')
  // the editor has read the schema, by which its workers complete and check
  await page.getByRole('button', { name: 'Show Documentation Explorer' }).click()
  await page.getByText('A GraphQL schema provides a root type').waitFor()

  await ask(page, 'mutation { signInAsGuest(input: { name: "Ada", keepInCookie: true }) { __typename } }')
  await page.goto(`${app.url}/graphql?query=${encodeURIComponent('subscription { viewerEvents { __typename } }')}`)
  await run.click()
  await expect.poll(() => app.services.connectionCount()).toBe(1)
  await expect
    .poll(
      async () => {
        await ask(page, 'mutation { createSession(input: {}) { __typename } }')
        return result.innerText()
      },
      { timeout: 20_000 },
    )
    .toContain('"viewerEvents"')
  expect(faults).toEqual([])
}, 60_000)

test('what a policy refuses would be noticed', async () => {
  const { page, faults } = await open(app)
  await page.goto(`${app.url}/graphql`)
  await page.evaluate(() => {
    document.body.append(Object.assign(document.createElement('script'), { textContent: 'globalThis.ran = true' }))
  })
  await expect.poll(() => faults.join()).toContain('script-src')
  expect(await page.evaluate(() => 'ran' in globalThis)).toBe(false)
})

test('the page shows code, tables and dialogs within the strictest policy, and asks only what is persisted', async () => {
  const { page, faults } = await open(persisted)
  const composer = page.getByRole('textbox', { name: 'Message' })
  await page.goto(persisted.url)
  await composer.waitFor()
  const lines = ['/echo', '```js', 'const answer = 42', '```', '', '| left | right |', '| :-- | --: |', '| 1 | 2 |']
  await composer.fill(lines.join('\n'))
  await page.getByRole('button', { name: 'Send' }).click()
  await page.waitForURL(/\/s\//)
  await page.locator('article').nth(1).waitFor()
  await page.locator('article[data-status="COMPLETE"]').nth(1).waitFor()
  await page.getByRole('button', { name: 'Invite' }).click()
  await page.getByRole('dialog').waitFor()
  await page.keyboard.press('Escape')
  await page.reload()
  await page.locator('article').nth(1).waitFor()
  // a style that a script sets, which the policy does not mean
  expect(
    await page
      .locator('article td')
      .nth(1)
      .evaluate((cell) => getComputedStyle(cell).textAlign),
  ).toBe('right')
  expect(faults).toEqual([])
}, 60_000)
