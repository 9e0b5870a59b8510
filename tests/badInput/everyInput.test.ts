import { readFileSync } from 'node:fs'
import { buildSchema } from 'graphql'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { attackInputs } from '../../faults/support/inputAttack.ts'
import { openStored, type Stored } from '../../faults/support/stored.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { testRandom } from '../support/random.ts'

const schema = buildSchema(readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8'))

let app: TestApp
let stored: Stored
beforeAll(async () => {
  app = await startApp()
  stored = await openStored(app.services.config.databaseUrl)
})
afterAll(async () => {
  await stored?.close()
  await app?.stop()
})

test('10,000 inputs of every kind, for every argument of the schema, get an answer or a typed error that changed nothing', async () => {
  const { seed } = testRandom()
  console.log(`Bad inputs with SEED=${seed}.`)
  const cases = 10_000
  const verdict = await attackInputs({ server: app, stored, isSqlite: true, schema, cases, seed, withinMs: 250_000 })
  expect(verdict.reports).toEqual([])
  expect(verdict).toMatchObject({ fives: 0, unmasked: 0, untyped: 0, accepted: 0, oddCloses: 0, changed: 0 })
  // most is refused, and by far not all of it before a resolver sees it
  expect(verdict.tried).toBe(cases)
  expect(verdict.compared).toBeGreaterThan(cases / 2)
  expect(verdict.resolved).toBeGreaterThan(cases / 4)
  expect(app.logged).toEqual([])
}, 280_000)
