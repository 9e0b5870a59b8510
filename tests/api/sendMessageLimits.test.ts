import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { startApp } from '../support/app.ts'
import { signIn } from '../support/clients.ts'
import { countRows } from '../support/counts.ts'
import { createSession, mutate, send, trySend } from '../support/operations.ts'
import { storageKinds } from '../support/storages.ts'

describe('limits', () => {
  it('let a user send so many messages a minute; repeats and what is refused do not count', async () => {
    const app = await startApp({ env: { RATE_LIMIT_PER_MINUTE: '3' } })
    try {
      const [ada, bob] = [await signIn(app), await signIn(app, 'Bob')]
      const sessionId = await createSession(app, ada)
      const id = randomUUID()
      for (let n = 0; n < 5; n++) await send(app, ada, sessionId, 'one', { id, respond: false })
      for (let n = 0; n < 5; n++) await trySend(app, ada, { sessionId, content: '' })
      for (const content of ['two', 'three']) await send(app, ada, sessionId, content, { respond: false })
      const before = await countRows(app.services)
      const refused = await trySend(app, ada, { sessionId, content: 'four', respond: false })
      expect(refused).toMatchObject({ __typename: 'RateLimitedError', code: 'RATE_LIMITED' })
      expect(refused.retryAfterMs).toBeGreaterThan(0)
      expect(refused.retryAfterMs).toBeLessThanOrEqual(60_000)
      expect(await countRows(app.services)).toEqual(before)
      expect(await trySend(app, ada, { sessionId, id, content: 'one' })).toMatchObject({ sent: { id } })
      const own = await createSession(app, bob)
      expect(await trySend(app, bob, { sessionId: own, content: 'mine', respond: false })).toMatchObject({
        __typename: 'SendMessageSuccess',
      })
    } finally {
      await app.stop()
    }
  })

  it('let an address send so many messages a minute, whoever sends', async () => {
    const app = await startApp({ env: { RATE_LIMIT_PER_MINUTE_PER_ADDRESS: '4' } })
    try {
      const people = [await signIn(app), await signIn(app, 'Bob')]
      const results: string[] = []
      for (const person of people) {
        const sessionId = await createSession(app, person)
        for (let n = 0; n < 3; n++)
          results.push((await trySend(app, person, { sessionId, content: 'x', respond: false })).code ?? 'sent')
      }
      expect(results).toEqual(['sent', 'sent', 'sent', 'sent', 'RATE_LIMITED', 'RATE_LIMITED'])
    } finally {
      await app.stop()
    }
  })

  it.each(storageKinds)(
    'let a user have so many answers at once, also when all are sent at once, on %s',
    async (storage) => {
      const app = await startApp({ storage, env: { MAX_CONCURRENT_GENERATIONS: '3' } })
      try {
        const ada = await signIn(app)
        const sessionId = await createSession(app, ada)
        const results = await Promise.all(
          Array.from({ length: 8 }, () => trySend(app, ada, { sessionId, content: 'x [[hang]]' })),
        )
        const accepted = results.filter(({ generation }) => generation)
        expect(accepted).toHaveLength(3)
        for (const refused of results.filter(({ generation }) => !generation))
          expect(refused).toMatchObject({ __typename: 'RateLimitedError', code: 'TOO_MANY_GENERATIONS' })
        expect((await countRows(app.services)).messages).toBe(6)
        expect(await trySend(app, ada, { sessionId, content: 'said', respond: false })).toMatchObject({ reply: null })
        await mutate(app, ada, 'stopGeneration', { generationId: accepted[0]!.generation!.id })
        expect(await trySend(app, ada, { sessionId, content: 'x [[tokens=1]]' })).toMatchObject({
          __typename: 'SendMessageSuccess',
        })
        for (const { generation } of accepted)
          await mutate(app, ada, 'stopGeneration', { generationId: generation!.id })
      } finally {
        await app.stop()
      }
    },
  )
})
