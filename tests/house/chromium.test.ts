import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { launchChromium } from '../support/chromium.ts'

test('Chromium opens a page of a server on the loopback, and is gone after stop', async () => {
  const server = createServer((_request, response) => {
    response
      .setHeader('content-type', 'text/html')
      .end('<title>Here</title><p id="sum"></p><script>sum.textContent = 40 + 2</script>')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { browser, stop } = await launchChromium()
  try {
    const page = await browser.newPage()
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    expect(await page.title()).toBe('Here')
    expect(await page.textContent('#sum')).toBe('42')
  } finally {
    await stop()
    await new Promise((resolve) => server.close(resolve))
  }
  expect(browser.isConnected()).toBe(false)
})
