import { afterEach, expect, test, vi } from 'vitest'
import { wakeWithPage } from '../../client/library/wakeWithPage.ts'

afterEach(() => {
  vi.unstubAllGlobals()
})

/** A page that can be hidden, as far as it is listened to. */
function stubPage() {
  const page = new EventTarget()
  const document = Object.assign(new EventTarget(), { visibilityState: 'visible' })
  vi.stubGlobal('document', document)
  vi.stubGlobal('addEventListener', page.addEventListener.bind(page))
  vi.stubGlobal('removeEventListener', page.removeEventListener.bind(page))
  return {
    comesOnline: () => page.dispatchEvent(new Event('online')),
    turns(state: 'visible' | 'hidden') {
      document.visibilityState = state
      document.dispatchEvent(new Event('visibilitychange'))
    },
  }
}

test('a page wakes the client when it is seen again or online, not when it is hidden, and never once it is closed', () => {
  const page = stubPage()
  const wake = vi.fn<() => void>()
  const stop = wakeWithPage(wake)
  page.turns('hidden')
  page.comesOnline()
  expect(wake).not.toHaveBeenCalled()
  page.turns('visible')
  expect(wake).toHaveBeenCalledTimes(1)
  page.comesOnline()
  expect(wake).toHaveBeenCalledTimes(2)
  stop()
  page.turns('visible')
  page.comesOnline()
  expect(wake).toHaveBeenCalledTimes(2)
})

test('where there is no page there is nothing to listen to', () => {
  expect(() => wakeWithPage(() => {})()).not.toThrow()
})
