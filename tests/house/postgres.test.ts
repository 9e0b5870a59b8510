import pg from 'pg'
import { expect, test } from 'vitest'
import { createDatabase } from '../support/postgres.ts'

test('each test database is empty, apart from the others, and gone once dropped', async () => {
  const [one, two] = await Promise.all([createDatabase(), createDatabase()])
  const client = new pg.Client({ connectionString: one.url })
  await client.connect()
  const errors: Error[] = []
  client.on('error', (error) => errors.push(error))
  const ended = new Promise((resolve) => client.once('end', resolve))
  await client.query('create table only_here (id int)')

  const other = new pg.Client({ connectionString: two.url })
  await other.connect()
  await expect(other.query('select * from only_here')).rejects.toThrow('does not exist')
  await other.end()

  await Promise.all([one.drop(), two.drop()])
  await ended
  expect(errors[0]?.message).toContain('terminating connection')
  const late = new pg.Client({ connectionString: one.url })
  await expect(late.connect()).rejects.toThrow('does not exist')
})
