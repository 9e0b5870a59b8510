import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { startRedis } from '../../scripts/support/startRedis.ts'
import { NotFoundError, RateLimitedError, UnauthenticatedError } from '../../server/errors.ts'
import { Limits } from '../../server/guards/limits.ts'

const settings = {
  rateLimitPerMinute: 3,
  rateLimitPerMinutePerAddress: 5,
  mutationsPerMinute: 4,
  wrongTokensPerMinutePerAddress: 2,
}
const make = () => new Limits(settings)

test('a user may send so many messages, and is told when the next may come', async () => {
  const limits = make()
  for (const id of ['1', '2', '3']) await limits.message('ada', 'a', id)
  const error = await limits.message('ada', 'a', '4').catch((error: unknown) => error)
  expect(error).toBeInstanceOf(RateLimitedError)
  expect((error as RateLimitedError).retryAfterMs).toBeGreaterThan(0)
  expect((error as RateLimitedError).retryAfterMs).toBeLessThanOrEqual(60_000)
  await expect(limits.message('bob', 'a', '4')).resolves.toBeTypeOf('function')
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
  for (const id of ['1', '2', '3']) await expect(limits.message('ada', 'two', id)).resolves.toBeTypeOf('function')
})

test('all addresses of one IPv6 network are one, however they are written', async () => {
  const limits = make()
  const addresses = [
    '2001:db8:0:1::1',
    '2001:DB8::1:ffff:0:0:1',
    '2001:db8:0:1:2:3:4:5',
    '2001:0db8:0:0001::',
    '2001:db8::1:0:0:1.2.3.4',
  ]
  for (const address of addresses) await limits.signIn(address)
  for (const address of addresses) await expect(limits.signIn(address)).rejects.toThrow(RateLimitedError)
  for (const other of ['2001:db8:0:2::1', '2001:db8::1', '::1', '1.2.3.4', '::ffff:102:304', ''])
    await expect(limits.signIn(other)).resolves.toBeUndefined()
})

test('a message that is refused for another reason can be taken back, once, and not by its repeat', async () => {
  const limits = make()
  for (let tries = 0; tries < 10; tries++) await (await limits.message('ada', 'a', 'refused'))()
  const giveBack = await limits.message('ada', 'a', '1')
  await (
    await limits.message('ada', 'a', '1')
  )()
  for (const id of ['2', '3']) await limits.message('ada', 'a', id)
  await expect(limits.message('ada', 'a', '4')).rejects.toThrow(RateLimitedError)
  await giveBack()
  await limits.message('ada', 'a', '4')
  await expect(limits.message('ada', 'a', '5')).rejects.toThrow(RateLimitedError)
})

test('what a user is refused costs their address nothing', async () => {
  const limits = make()
  for (const id of ['1', '2', '3']) await limits.message('ada', 'a', id)
  for (const id of ['4', '5', '6', '7']) await expect(limits.message('ada', 'a', id)).rejects.toThrow(RateLimitedError)
  for (const user of ['bob', 'cleo']) await limits.message(user, 'a', user)
  await expect(limits.message('dora', 'a', 'x')).rejects.toThrow(RateLimitedError)
})

test('a user may change so many things, and at least as many as they may send messages', async () => {
  const limits = make()
  for (let change = 0; change < 4; change++) await limits.mutation('ada')
  await expect(limits.mutation('ada')).rejects.toThrow(RateLimitedError)
  await expect(limits.mutation('bob')).resolves.toBeUndefined()
  const generous = new Limits({ ...settings, rateLimitPerMinute: 100 })
  for (let change = 0; change < 100; change++) await generous.mutation('ada')
  await expect(generous.mutation('ada')).rejects.toThrow(RateLimitedError)
})

test('an address may send so many wrong tokens; those that follow are not looked at, whoever sends them', async () => {
  const limits = make()
  let looks = 0
  const look = (error?: Error) => async () => {
    looks++
    if (error) throw error
    return 'Ada'
  }
  const wrong = look(new UnauthenticatedError())
  for (let sent = 0; sent < 5; sent++) expect(await limits.token('a', 'token', look())).toBe('Ada')
  for (let sent = 0; sent < 5; sent++)
    await expect(limits.token('a', 'token', look(new NotFoundError('for another reason')))).rejects.toThrow(
      NotFoundError,
    )
  for (let sent = 0; sent < 2; sent++)
    await expect(limits.token('a', 'token', wrong)).rejects.toThrow(UnauthenticatedError)
  looks = 0
  const refusal = await limits.token('a', 'token', look()).catch((error: unknown) => error)
  expect(refusal).toBeInstanceOf(RateLimitedError)
  expect((refusal as RateLimitedError).retryAfterMs).toBeGreaterThan(0)
  expect((refusal as RateLimitedError).retryAfterMs).toBeLessThanOrEqual(60_000)
  expect(looks).toBe(0)
  expect(await limits.token('a', null, look())).toBe('Ada')
  expect(await limits.token('b', 'token', look())).toBe('Ada')
})

test('several nodes count together, and take back what was counted on another one', async () => {
  const server = await startRedis()
  const connections = [new Redis(server.url), new Redis(server.url)]
  try {
    await Promise.all(connections.map((redis) => redis.ping()))
    const [one, other] = connections.map((redis) => new Limits(settings, redis)) as [Limits, Limits]
    const giveBack = await one.message('ada', 'a', '1')
    await other.message('ada', 'a', '2')
    await one.message('ada', 'a', '3')
    await expect(other.message('ada', 'a', '4')).rejects.toThrow(RateLimitedError)
    await giveBack()
    await other.message('ada', 'a', '4')
    await expect(one.message('ada', 'a', '5')).rejects.toThrow(RateLimitedError)

    for (const node of [one, other, one, other]) await node.mutation('ada')
    for (const node of [one, other]) await expect(node.mutation('ada')).rejects.toThrow(RateLimitedError)
  } finally {
    for (const redis of connections) redis.disconnect()
    await server.stop()
  }
})
