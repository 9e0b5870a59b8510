import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Page } from 'playwright-core'
import type { TestApp } from '../support/app.ts'
import { launchChromium, type Chromium } from '../support/chromium.ts'
import { gql, signIn, type Person } from '../support/clients.ts'
import { createSession, join, mutate, send } from '../support/operations.ts'
import { commonmarkTexts, hostileNames, hostileTexts } from './hostileTexts.ts'
import { startTextModel, type TextModel } from './textModel.ts'
import { startTimeoutMs, startWithPage } from './webPage.ts'

const perMessage = 12
/** No more than the page asks for at once. */
const perSession = 24

/** Many texts in one, each a block of its own; what one leaves open swallows no more than its neighbours. */
const messages = [...hostileTexts, ...commonmarkTexts].reduce<string[]>((done, text, index) => {
  if (index % perMessage === 0) done.push(text)
  else done[done.length - 1] += `\n\n${text}`
  return done
}, [])

let app: TestApp
let chromium: Chromium
let model: TextModel
let owner: Person
let watched: Watched
beforeAll(async () => {
  model = await startTextModel(messages)
  app = await startWithPage({ env: { LOCAL_BASE_URL: model.url } })
  chromium = await launchChromium()
  owner = await signIn(app, hostileNames[0])
  watched = await openPage()
}, startTimeoutMs)
afterAll(async () => {
  await chromium?.stop()
  await app?.stop()
  await model?.stop()
})

interface Watched {
  page: Page
  /** Whatever ran, was forbidden to run, or left for elsewhere. */
  faults: string[]
}

/** A page of a guest, as high as all that is on it, so that all of it is rendered. */
async function openPage(): Promise<Watched> {
  const context = await chromium.browser.newContext({ viewport: { width: 1280, height: 40_000 } })
  const faults: string[] = []
  const { origin } = new URL(app.url)
  await context.exposeBinding('ranByText', (_source, what: string) => void faults.push(`ran: ${what}`))
  await context.addInitScript(() => {
    const note = (window as unknown as { ranByText(what: string): void }).ranByText
    for (const name of ['alert', 'prompt', 'confirm', 'print'] as const)
      Object.defineProperty(window, name, { value: (what: unknown) => note(`${name}(${String(what)})`) })
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sample }) =>
      note(`forbidden by ${violatedDirective}: ${blockedURI} ${sample}`),
    )
  })
  context.on('request', (request) => {
    if (new URL(request.url()).origin !== origin) faults.push(`asked ${request.url().slice(0, 200)}`)
  })
  context.on('dialog', (dialog) => {
    faults.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  context.on('weberror', (error) => faults.push(`error: ${error.error().message}`))
  const page = await context.newPage()
  page.on('popup', (opened) => void faults.push(`opened ${opened.url()}`))
  return { page, faults }
}

/** Lets the page's guest join a session, and shows it. */
async function show({ page }: Watched, sessionId: string): Promise<void> {
  const { token } = await mutate<{ token: string }>(
    app,
    owner,
    'inviteToSession',
    { sessionId, role: 'MEMBER' },
    'token',
  )
  await page.goto(`${app.url}/join#token=${token}`)
  await page.waitForURL(/\/s\//)
  await page.getByRole('textbox', { name: 'Message' }).waitFor()
}

/** What in the page could act: handlers, elements that load or run, links to anything but web pages and mail. */
const actors = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const found: string[] = []
    for (const element of document.body.querySelectorAll('*')) {
      const name = element.localName
      const isOwn = element.closest('article') === null
      if (
        /^(iframe|frame|object|embed|applet|base|meta|style|form|math|audio|video|template|marquee|img|link)$/.test(
          name,
        ) &&
        !(isOwn && /^(form|style|link|img)$/.test(name))
      )
        found.push(element.outerHTML.slice(0, 200))
      if (name === 'script' && !(element as HTMLScriptElement).src.startsWith(location.origin))
        found.push(element.outerHTML)
      for (const attribute of element.attributes) {
        const isAddress = /^(href|xlink:href|src|srcset|action|formaction|data|ping|poster|background)$/.test(
          attribute.name,
        )
        const isLeft = isAddress && !/^(https?|mailto):/.test(new URL(attribute.value, location.href).protocol)
        if (attribute.name.startsWith('on') || attribute.name === 'srcdoc' || isLeft)
          found.push(`${name} ${attribute.name}=${attribute.value.slice(0, 200)}`)
      }
    }
    return found
  })

/** Does to everything in the messages what a reader may do, but for opening links. */
const touchAll = (page: Page): Promise<void> =>
  page.evaluate(() => {
    for (const element of document.querySelectorAll('article *'))
      for (const type of ['mouseover', 'pointerenter', 'focus', 'input', 'toggle', 'load', 'error', 'animationstart'])
        element.dispatchEvent(new Event(type, { bubbles: type === 'mouseover' }))
  })

async function untilShown({ page, faults }: Watched, count: number): Promise<void> {
  const areShown = page.waitForFunction(
    (wanted) => document.querySelectorAll('article[data-status=COMPLETE]').length >= wanted,
    count,
    { timeout: 60_000, polling: 100 },
  )
  await areShown.catch((error: unknown) => {
    // a page that was left or broken shows nothing, and these say why
    throw new Error(`The messages are not shown. ${faults.join('\n')}`, { cause: error })
  })
}

async function expectHarmless({ page, faults }: Watched): Promise<void> {
  await touchAll(page)
  expect(await actors(page)).toEqual([])
  // what ran too late for it would have run before this answer
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve)))
  expect(faults).toEqual([])
}

test('no message of a person, and no answer of a model, becomes more than text with its links', async () => {
  expect(messages.length).toBeGreaterThan(100)
  for (let first = 0; first < messages.length; first += perSession) {
    const some = messages.slice(first, first + perSession)
    const sessionId = await createSession(app, owner, { title: 'Hostile' })
    for (const text of some) await send(app, owner, sessionId, text, { respond: false })
    await show(watched, sessionId)
    await untilShown(watched, some.length)
    // the page is there while they come
    for (let index = 0; index < some.length; index++) await send(app, owner, sessionId, `say ${first + index}`)
    await untilShown(watched, some.length * 3)
    await expectHarmless(watched)
  }
}, 120_000)

test('neither do titles of sessions and names of people', async () => {
  const sessionId = await createSession(app, owner, { title: hostileNames[1] })
  for (const name of hostileNames.slice(0, 20)) await join(app, owner, await signIn(app, name), sessionId)
  await show(watched, sessionId)
  const { page } = watched
  for (const title of hostileNames) {
    expect(await mutate(app, owner, 'updateSession', { sessionId, title })).toMatchObject({
      __typename: 'UpdateSessionSuccess',
    })
    const { session } = await gql<{ session: { title: string } }>(
      app,
      'query ($id: ID!) { session(id: $id) { title } }',
      { id: sessionId },
      owner,
    )
    expect(session.title).toBe(title)
  }
  await expect.poll(() => page.locator('body').innerText()).toContain(hostileNames.at(-1)!)
  await page
    .getByRole('button', { name: /people|participant/i })
    .first()
    .click()
  await page.getByRole('dialog').waitFor()
  await expect.poll(() => page.getByRole('dialog').innerText()).toContain(hostileNames[5]!)
  await expectHarmless(watched)
}, 60_000)
