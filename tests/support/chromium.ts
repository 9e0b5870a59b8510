import { existsSync } from 'node:fs'
import { chromium, type Browser } from 'playwright-core'

const executablePath = '/usr/bin/chromium'

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
]

export interface Chromium {
  browser: Browser
  stop(): Promise<void>
}

/** Starts Debian's headless Chromium with a profile of its own, which `stop` deletes. */
export async function launchChromium(): Promise<Chromium> {
  if (!existsSync(executablePath)) {
    throw new Error(`${executablePath} is missing. Install it: apt-get update && apt-get install -y chromium`)
  }
  const browser = await chromium.launch({ executablePath, args: flags })
  return { browser, stop: () => browser.close() }
}
