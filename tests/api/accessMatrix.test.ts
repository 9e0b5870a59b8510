import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { digestTables } from '../../faults/support/tables.ts'
import {
  Asker,
  attemptsIn,
  judge,
  makeWorld,
  participants,
  printedSchema,
  roles,
  roomy,
  transports,
  verdictOf,
  type Attempt,
  type World,
} from '../support/accessMatrix.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { mutate } from '../support/operations.ts'

const schema = printedSchema()

describe('every root field, by everyone', () => {
  let app: TestApp
  let asker: Asker
  let world: World
  let attempts: Attempt[]
  const digests = () => digestTables({ all: (sql: string) => app.services.storage.read.all(sql) } as never, true)
  beforeAll(async () => {
    app = await startApp({ env: roomy })
    asker = new Asker(() => app)
    world = await makeWorld(() => app, 'matrix')
    attempts = attemptsIn(schema, world)
  })
  afterAll(async () => {
    await asker?.close()
    await app?.stop()
  })

  test.each(transports)(
    'over %s is refused as the table says, shows nothing foreign and changes nothing',
    async (by) => {
      const before = await digests()
      let tried = 0
      for (const role of roles)
        for (const attempt of attempts) {
          if (verdictOf(attempt.row, role) === 'yes' || (by === 'POST' && attempt.kind === 'subscription')) continue
          const answer = await asker.ask(by, attempt, world.people[role].token)
          expect(judge(world, attempt, role, answer)).toEqual({ wrong: [], foreign: [] })
          tried++
        }
      expect(tried).toBeGreaterThan(50)
      const after = await digests()
      expect(after).toEqual(before)
    },
  )

  test.each(transports)(
    'over %s is let through as the table says, and shows others nothing of a session',
    async (by) => {
      const shown: Record<string, number> = {}
      for (const role of roles) {
        // what one role may change would be missing for the next
        const own = await makeWorld(() => app, `${by}${role}`)
        for (const attempt of attemptsIn(schema, own)) {
          if (verdictOf(attempt.row, role) !== 'yes') continue
          if (attempt.kind === 'subscription' && (by === 'POST' || attempt.field !== 'messageDeltas')) continue
          const answer = await asker.ask(by, attempt, own.people[role].token)
          expect(judge(own, attempt, role, answer)).toEqual({ wrong: [], foreign: [] })
          shown[role] = (shown[role] ?? 0) + Number(answer.raw.includes(own.words))
        }
      }
      for (const role of participants) expect(shown[role]).toBeGreaterThan(5)
    },
  )

  test.each([
    ['read', 'owner'],
    ['write', 'owner'],
    ['admin', 'admin'],
  ] as const)(
    'by a key that may only %s is refused what takes another scope, over every transport',
    async (scope, role) => {
      const made = await mutate<{ key: string }>(
        app,
        world.people[role],
        'createApiKey',
        { name: scope, scopes: [scope.toUpperCase()] },
        'key',
      )
      const before = await digests()
      let tried = 0
      for (const by of transports)
        for (const attempt of attempts) {
          if (attempt.row.scope === scope || (by === 'POST' && attempt.kind === 'subscription')) continue
          const { raw, results } = await asker.ask(by, attempt, made.key!)
          const [{ data, errors } = {}] = results
          expect(
            errors?.map(({ extensions }) => extensions?.code),
            `${attempt.action}: ${raw}`,
          ).toEqual(['FORBIDDEN'])
          expect(data?.[attempt.field] ?? null).toBeNull()
          expect(errors![0]!.message).toMatch(/an API key with the scope "(read|write|admin)"/)
          tried++
        }
      expect(tried).toBeGreaterThan(30)
      expect(await digests()).toEqual(before)
    },
  )
})
