import { afterEach, describe, expect, test, vi } from 'vitest'
import { createOutbox, undelivered, type Outbox, type SendFailure, type Unsent } from '../../client/library/outbox.ts'
import type { OutboxStorage } from '../../client/library/outboxStorage.ts'

type Deliver = Parameters<typeof createOutbox>[0]

const message = { id: 'm', sessionId: 's', content: 'Hello', createdAt: '2026-01-01T00:00:00.000Z' }
const lost: SendFailure = { code: undelivered, message: 'No way there.' }
const refused: SendFailure = { code: 'FORBIDDEN', message: 'No.' }

const outboxes: Outbox[] = []
afterEach(() => {
  for (const outbox of outboxes.splice(0)) outbox.close()
})

function open(deliver: Deliver, options: Parameters<typeof createOutbox>[1] = {}) {
  const outbox = createOutbox(deliver, { retryWithinMs: 2, ...options })
  outboxes.push(outbox)
  return outbox
}

/** What a browser would keep through a reload. */
function shelf(kept: Unsent[] = []) {
  const messages = new Map(kept.map((one) => [one.id, one]))
  const storage: OutboxStorage = {
    load: async () => [...messages.values()],
    put: async (one) => void messages.set(one.id, one),
    remove: async (id) => void messages.delete(id),
  }
  return { messages, storage }
}

/** Resolves once the outbox holds so many messages. */
const untilHolds = (outbox: Outbox, count: number) =>
  new Promise<void>((resolve) => {
    const look = () => outbox.unsent.get().length === count && resolve()
    outbox.unsent.subscribe(look)
    look()
  })

test('a message stands in the outbox until the server has it', async () => {
  const stored = Promise.withResolvers<SendFailure | undefined>()
  const outbox = open(() => stored.promise)
  const sent = outbox.send(message)
  expect(outbox.unsent.get()).toEqual([message])
  stored.resolve(undefined)
  expect(await sent).toBeUndefined()
  expect(outbox.unsent.get()).toEqual([])
})

test('one that was refused says why, and is sent again under the same id', async () => {
  const deliver = vi.fn<Deliver>().mockResolvedValueOnce(refused).mockResolvedValueOnce(undefined)
  const outbox = open(deliver)
  expect(await outbox.send(message)).toEqual(refused)
  expect(outbox.unsent.get()).toEqual([{ ...message, failure: refused }])
  await outbox.send(outbox.unsent.get()[0]!)
  expect(deliver.mock.calls.map(([{ id }]) => id)).toEqual(['m', 'm'])
  expect(outbox.unsent.get()).toEqual([])
})

test('what does not arrive is tried until it does, under one id and with nothing that the server does not know', async () => {
  const deliver = vi.fn<Deliver>().mockResolvedValue(undefined)
  for (let tries = 0; tries < 5; tries++) deliver.mockResolvedValueOnce(lost)
  const outbox = open(deliver)
  expect(await outbox.send({ sessionId: 's', content: 'Hello', respond: false })).toBeUndefined()
  const [first] = deliver.mock.calls[0]!
  expect(first).toEqual({ id: expect.any(String), sessionId: 's', content: 'Hello', respond: false })
  expect(deliver.mock.calls.map(([input]) => input)).toEqual(Array.from({ length: 6 }, () => first))
})

test('a delivery that throws is one that did not arrive', async () => {
  const deliver = vi.fn<Deliver>().mockRejectedValueOnce(new Error('broken')).mockResolvedValueOnce(undefined)
  expect(await open(deliver).send(message)).toBeUndefined()
  expect(deliver).toHaveBeenCalledTimes(2)
})

test('in a session one goes after the other, and no session waits for another', async () => {
  const order: string[] = []
  let isLost = true
  const outbox = open(async ({ id }) => {
    order.push(id!)
    return id === 'first' && isLost ? lost : undefined
  })
  const first = outbox.send({ ...message, id: 'first' })
  const second = outbox.send({ ...message, id: 'second' })
  await outbox.send({ ...message, id: 'elsewhere', sessionId: 'other' })
  expect(order).not.toContain('second')
  isLost = false
  await Promise.all([first, second])
  expect(order.at(-1)).toBe('second')
})

test('what was refused holds nothing up that was written after it', async () => {
  const outbox = open(async ({ id }) => (id === 'bad' ? refused : undefined))
  const [bad, good] = await Promise.all([
    outbox.send({ ...message, id: 'bad' }),
    outbox.send({ ...message, id: 'good' }),
  ])
  expect([bad, good]).toEqual([refused, undefined])
})

test('what waits for its next try is tried at once when it is asked for', async () => {
  const deliver = vi.fn<Deliver>().mockResolvedValueOnce(lost).mockResolvedValueOnce(undefined)
  const outbox = open(deliver, { retryWithinMs: 3_600_000 })
  const failed = new Promise<void>((resolve) => {
    outbox.unsent.subscribe(() => outbox.unsent.get()[0]?.failure && resolve())
  })
  const sent = outbox.send(message)
  await failed
  setImmediate(outbox.resend)
  expect(await sent).toBeUndefined()
})

test('a discarded message is gone, and whoever waits for it is told', async () => {
  const { messages, storage } = shelf()
  const outbox = open(async () => refused, { storage })
  await outbox.send(message)
  expect(messages.size).toBe(1)
  outbox.discard('m')
  expect(outbox.unsent.get()).toEqual([])
  expect(messages.size).toBe(0)

  const stuck = open(() => new Promise(() => {}))
  const sent = stuck.send(message)
  stuck.discard('m')
  expect(await sent).toMatchObject({ code: 'DISCARDED' })
})

describe('what is kept', () => {
  test('is there before it is sent, and gone once the server has it', async () => {
    const { messages, storage } = shelf()
    const atDelivery: string[] = []
    const outbox = open(
      async () => {
        atDelivery.push(...messages.keys())
        return undefined
      },
      { storage },
    )
    await outbox.send(message)
    expect(atDelivery).toEqual(['m'])
    expect(messages.size).toBe(0)
  })

  test('is sent by the next outbox under the same id, in the order in which it was written', async () => {
    const { messages, storage } = shelf([
      { ...message, id: 'one' },
      { ...message, id: 'two' },
      { ...message, id: 'three', failure: { code: 'UNAUTHENTICATED', message: 'Sign in.' } },
      { ...message, id: 'four', failure: refused },
    ])
    const deliver = vi.fn<Deliver>(async () => undefined)
    const outbox = open(deliver, { storage })
    await untilHolds(outbox, 4)
    await untilHolds(outbox, 1)
    expect(deliver.mock.calls.map(([{ id }]) => id)).toEqual(['one', 'two', 'three'])
    // What was refused is not sent again by itself, and still says why.
    expect(outbox.unsent.get()).toEqual([{ ...message, id: 'four', failure: refused }])
    expect([...messages.keys()]).toEqual(['four'])
  })

  test('stays where the outbox is closed before it was sent', async () => {
    const { messages, storage } = shelf()
    const outbox = createOutbox(async () => lost, { storage, retryWithinMs: 2 })
    const sent = outbox.send(message)
    await untilHolds(outbox, 1)
    outbox.close()
    expect(await sent).toMatchObject({ code: 'CLOSED' })
    expect([...messages.keys()]).toEqual(['m'])
  })

  test('is not needed for sending: a storage that fails holds nothing up', async () => {
    const broken = async () => {
      throw new Error('full')
    }
    const deliver = vi.fn<Deliver>(async () => undefined)
    expect(
      await open(deliver, { storage: { load: broken, put: broken, remove: broken } }).send(message),
    ).toBeUndefined()
    expect(deliver).toHaveBeenCalledTimes(1)
  })
})
