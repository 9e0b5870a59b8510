import { expect, test, vi } from 'vitest'
import { createDeltaStore } from '../../client/src/stream/deltaStore.ts'

function storeWithFrames() {
  const frames: (() => void)[] = []
  const store = createDeltaStore((flush) => frames.push(flush))
  return { store, frames, draw: () => frames.splice(0).forEach((flush) => flush()) }
}

test('many deltas between two pictures tell a listener once, of its own message alone', () => {
  const { store, frames, draw } = storeWithFrames()
  const first = vi.fn<() => void>()
  const second = vi.fn<() => void>()
  store.subscribe('a', first)
  store.subscribe('b', second)

  for (let offset = 0; offset < 100; offset++) store.add({ messageId: 'a', offset, text: 'x' })
  expect(frames).toHaveLength(1)
  expect(store.get('a')).toBeUndefined()

  draw()
  expect(first).toHaveBeenCalledTimes(1)
  expect(second).not.toHaveBeenCalled()
  expect(store.get('a')).toEqual({ offset: 0, text: 'x'.repeat(100) })
})

test('what is read stays the same object until the next picture', () => {
  const { store, draw } = storeWithFrames()
  store.add({ messageId: 'a', offset: 0, text: 'one' })
  draw()
  const shown = store.get('a')
  store.add({ messageId: 'a', offset: 3, text: ' two' })
  expect(store.get('a')).toBe(shown)
  draw()
  expect(store.get('a')?.text).toBe('one two')
})

test('a dropped message is gone at once, also if a picture was due', () => {
  const { store, draw } = storeWithFrames()
  const listener = vi.fn<() => void>()
  store.subscribe('a', listener)
  store.add({ messageId: 'a', offset: 0, text: 'one' })
  draw()
  store.add({ messageId: 'a', offset: 3, text: ' two' })
  store.drop('a')
  draw()
  expect(store.get('a')).toBeUndefined()
  expect(listener).toHaveBeenCalledTimes(2)
})

test('who stopped listening hears nothing more', () => {
  const { store, draw } = storeWithFrames()
  const listener = vi.fn<() => void>()
  store.subscribe('a', listener)()
  store.add({ messageId: 'a', offset: 0, text: 'one' })
  draw()
  expect(listener).not.toHaveBeenCalled()
})
