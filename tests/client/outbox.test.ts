import { expect, test, vi } from 'vitest'
import { createOutbox, undelivered, type SendFailure, type Unsent } from '../../client/src/message/outbox.ts'

type Deliver = (message: Unsent) => Promise<SendFailure | undefined>

const message: Unsent = { id: 'm', sessionId: 's', content: 'Hello', createdAt: '2026-01-01T00:00:00.000Z' }

test('a message stands in the outbox until the server has it', async () => {
  const stored = Promise.withResolvers<SendFailure | undefined>()
  const outbox = createOutbox(() => stored.promise)
  const sent = outbox.send(message)
  expect(outbox.unsent.get()).toEqual([message])
  stored.resolve(undefined)
  await sent
  expect(outbox.unsent.get()).toEqual([])
})

test('one that failed says why, and is sent again under the same id', async () => {
  const failure = { code: 'RATE_LIMITED', message: 'Wait.' }
  const deliver = vi.fn<Deliver>().mockResolvedValueOnce(failure).mockResolvedValueOnce(undefined)
  const outbox = createOutbox(deliver)
  await outbox.send(message)
  expect(outbox.unsent.get()).toEqual([{ ...message, failure }])
  await outbox.send(outbox.unsent.get()[0]!)
  expect(deliver.mock.calls.map(([{ id }]) => id)).toEqual(['m', 'm'])
  expect(outbox.unsent.get()).toEqual([])
})

test('after a lost connection only what never arrived is sent by itself', async () => {
  const deliver = vi.fn<Deliver>(async ({ id }) => ({
    code: id === 'lost' ? undelivered : 'FORBIDDEN',
    message: 'No.',
  }))
  const outbox = createOutbox(deliver)
  await Promise.all([outbox.send({ ...message, id: 'lost' }), outbox.send({ ...message, id: 'refused' })])
  deliver.mockClear()
  outbox.resendUndelivered()
  expect(deliver.mock.calls.map(([{ id }]) => id)).toEqual(['lost'])
})

test('a discarded message is gone', async () => {
  const outbox = createOutbox(async () => ({ code: 'FORBIDDEN', message: 'No.' }))
  await outbox.send(message)
  outbox.discard('m')
  expect(outbox.unsent.get()).toEqual([])
})
