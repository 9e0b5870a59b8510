import { beforeEach, expect, it, onTestFinished, vi } from 'vitest'
import { Expiries } from '../../server/websocket/expiries.ts'

const day = 86_400_000
let expired: string[]
let expiries: Expiries<string>
beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 })
  onTestFinished(() => void vi.useRealTimers())
  expired = []
  expiries = new Expiries((item) => void expired.push(item))
})
const inMs = (ms: number): Date => new Date(Date.now() + ms)

it('Each item is told of at its time and once, those of one time by one timer', () => {
  expiries.add(inMs(2_000), 'a')
  expiries.add(inMs(2_000), 'b')
  expiries.add(inMs(1_000), 'c')
  expect(vi.getTimerCount()).toBe(2)
  vi.advanceTimersByTime(999)
  expect(expired).toEqual([])
  vi.advanceTimersByTime(1)
  expect(expired).toEqual(['c'])
  vi.advanceTimersByTime(5_000)
  expect(expired).toEqual(['c', 'a', 'b'])
})

it('One that is deleted is not told of, and its timer ends with the last of its time', () => {
  const time = inMs(1_000)
  for (const item of ['a', 'b', 'c']) expiries.add(time, item)
  expiries.delete(new Date(time), 'b')
  expiries.delete(time, 'b')
  expiries.delete(time, 'nobody')
  expiries.delete(inMs(1), 'a')
  vi.advanceTimersByTime(1_000)
  expect(expired).toEqual(['a', 'c'])
  const later = inMs(1_000)
  expiries.add(later, 'd')
  expiries.delete(later, 'd')
  expect(vi.getTimerCount()).toBe(0)
})

it('One that is deleted after its time takes no other along that came for the same time', () => {
  const time = inMs(1_000)
  expiries.add(time, 'a')
  vi.advanceTimersByTime(1_000)
  // a token that ended on the way
  expiries.add(time, 'b')
  expiries.delete(time, 'a')
  vi.advanceTimersByTime(1)
  expect(expired).toEqual(['a', 'b'])
})

it('Whoever is told may delete it and others of the same time', () => {
  const time = inMs(1_000)
  const told: string[] = []
  const closing = new Expiries<string>((item) => {
    told.push(item)
    for (const one of ['a', 'b']) closing.delete(time, one)
  })
  closing.add(time, 'a')
  closing.add(time, 'b')
  vi.advanceTimersByTime(1_000)
  expect(told).toEqual(['a', 'b'])
  expect(vi.getTimerCount()).toBe(0)
})

it('A time further off than a timer reaches is waited for, and can be called off', () => {
  expiries.add(inMs(100 * day), 'far')
  const deleted = inMs(90 * day)
  expiries.add(deleted, 'deleted')
  vi.advanceTimersByTime(60 * day)
  expiries.delete(deleted, 'deleted')
  vi.advanceTimersByTime(40 * day - 1)
  expect(expired).toEqual([])
  vi.advanceTimersByTime(1)
  expect(expired).toEqual(['far'])
  expect(vi.getTimerCount()).toBe(0)
})
