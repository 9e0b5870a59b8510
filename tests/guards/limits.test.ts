import { expect, test } from 'vitest'
import { RateLimitedError } from '../../server/errors.ts'
import { Limits } from '../../server/guards/limits.ts'

const make = () => new Limits({ rateLimitPerMinute: 3, rateLimitPerMinutePerAddress: 5 })

test('a user may send so many messages, and is told when the next may come', async () => {
  const limits = make()
  for (const id of ['1', '2', '3']) await limits.message('ada', 'a', id)
  const error = await limits.message('ada', 'a', '4').catch((error: unknown) => error)
  expect(error).toBeInstanceOf(RateLimitedError)
  expect((error as RateLimitedError).retryAfterMs).toBeGreaterThan(0)
  expect((error as RateLimitedError).retryAfterMs).toBeLessThanOrEqual(60_000)
  await expect(limits.message('bob', 'a', '4')).resolves.toBeUndefined()
})

test('a message that is sent again is counted once, also at the same time', async () => {
  const limits = make()
  await Promise.all(Array.from({ length: 20 }, () => limits.message('ada', 'a', 'same')))
  for (const id of ['2', '3']) await limits.message('ada', 'a', id)
  await expect(limits.message('ada', 'a', '4')).rejects.toThrow(RateLimitedError)
  await expect(limits.message('ada', 'a', '4')).rejects.toThrow(RateLimitedError)
})

test('an address may send so many whoever sends, and what it is refused costs the user nothing', async () => {
  const limits = make()
  for (const user of ['a', 'b', 'c', 'd', 'e']) await limits.message(user, 'one', user)
  for (let tries = 0; tries < 5; tries++)
    await expect(limits.message('ada', 'one', 'x')).rejects.toThrow(RateLimitedError)
  for (const id of ['1', '2', '3']) await expect(limits.message('ada', 'two', id)).resolves.toBeUndefined()
})
