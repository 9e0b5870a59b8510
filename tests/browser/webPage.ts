import type { BrowserContext, Page } from 'playwright-core'
import { ensureClientBuilt } from '../../server/http/clientBuild.ts'
import { startApp, type StartOptions, type TestApp } from '../support/app.ts'
import type { Chromium } from '../support/chromium.ts'

/** How long it may take until there are a server with the page and a browser: the first one builds the page. */
export const startTimeoutMs = 120_000

/** A server of a test that also serves the web page. */
export async function startWithPage(options: StartOptions = {}): Promise<TestApp> {
  const clientFolder = await ensureClientBuilt(() => undefined)
  return startApp({ ...options, parts: { ...options.parts, clientFolder } })
}

/** Somebody's own cookies and storage; gone with the browser. */
export const newProfile = ({ browser }: Chromium): Promise<BrowserContext> =>
  browser.newContext({ viewport: { width: 1280, height: 800 } })

/**
 * What goes wrong on a page from now on: errors of its scripts, and what it asks of others than its server.
 * @param isOwn what it may ask besides
 */
export function watchFaults(page: Page, { url }: TestApp, isOwn = /^data:/): string[] {
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !isOwn.test(request.url())) faults.push(`asked ${request.url()}`)
  })
  return faults
}
