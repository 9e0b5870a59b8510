import { randomUUID } from 'node:crypto'
import { beforeAll, expect, test } from 'vitest'
import type { Job } from '../../server/generation/run.ts'
import { MemoryBus } from '../../server/bus/memoryBus.ts'
import { SessionLog } from '../../server/log/sessionLog.ts'
import type { Param } from '../../server/storage/storage.ts'
import type { Topics } from '../../server/topics.ts'
import { insertGeneration, insertSession, insertUser, type SessionRows } from '../support/rows.ts'
import { describeOnEach } from '../support/storages.ts'

interface Rows {
  session: SessionRows
  other: SessionRows
  job: Job
}

type Wrong = (rows: Rows) => [sql: string, params: Param[]]

const at = new Date()
const user = `INSERT INTO users (id, subject, name, is_admin, created_at) VALUES (?, ?, 'Ada', ?, ?)`
const participant = `INSERT INTO participants (session_id, user_id, role, joined_at) VALUES (?, ?, ?, ?)`
const event = `INSERT INTO session_events (log_id, seq, kind, text_offset, created_at) VALUES (?, ?, ?, ?, ?)`
const usage = `INSERT INTO usage_records (id, generation_id, user_id, model, prompt_tokens, completion_tokens, is_estimated, created_at)
  VALUES (?, ?, ?, '', ?, 0, ?, ?)`
const invitation = `INSERT INTO invitations (id, session_id, created_by_id, token_hash, role, expires_at, max_uses, uses, created_at)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`
const invite = ({ session }: Rows, role: string, maxUses: number | null, uses: number): [string, Param[]] => [
  invitation,
  [randomUUID(), session.sessionId, session.ownerId, randomUUID(), role, at, maxUses, uses, at],
]

const apiKey = `INSERT INTO api_keys (id, user_id, name, start, key_hash, scopes, created_at, expires_at)
  VALUES (?, ?, ?, 'parley_', ?, ?, ?, ?)`
const hash = 'f'.repeat(64)
const revoked = `INSERT INTO revoked_tokens (credential, expires_at) VALUES (?, ?)`
const deleted = `INSERT INTO deleted_accounts (subject_hash, user_id, deleted_at) VALUES (?, ?, ?)`

/** What no code may store, however wrong it is. */
const refused: Record<string, Wrong> = {
  'a subject that another user has': ({ session }) => [user, [randomUUID(), session.ownerId, false, at]],
  'a user without a subject': () => [user, [randomUUID(), '', false, at]],
  'a subject of 256 characters': () => [user, [randomUUID(), 'x'.repeat(256), false, at]],
  'a session whose owner does not exist': ({ session }) => [
    'UPDATE sessions SET owner_id = ? WHERE id = ?',
    [randomUUID(), session.sessionId],
  ],
  'a title of 501 characters': ({ session }) => [
    'UPDATE sessions SET title = ? WHERE id = ?',
    ['x'.repeat(501), session.sessionId],
  ],
  'metadata that is no JSON': ({ session }) => [`UPDATE sessions SET metadata = '{' WHERE id = ?`, [session.sessionId]],
  'a negative count of messages': ({ session }) => [
    'UPDATE sessions SET message_count = -1 WHERE id = ?',
    [session.sessionId],
  ],
  'a second log of a session': ({ session }) => [
    'INSERT INTO session_logs (session_id) VALUES (?)',
    [session.sessionId],
  ],
  'a log of no session': () => ['INSERT INTO session_logs (session_id) VALUES (?)', [randomUUID()]],
  'a log position below zero': ({ session }) => [
    'UPDATE session_logs SET last_seq = -1 WHERE log_id = ?',
    [session.logId],
  ],
  'a second event of one seq': ({ session }) => [event, [session.logId, 1, 1, null, at]],
  'an event of seq 0': ({ session }) => [event, [session.logId, 0, 1, null, at]],
  'an event of no log': () => [event, [2_000_000_000, 1, 1, null, at]],
  'a delta at a negative offset': ({ session }) => [event, [session.logId, 99, 0, -1, at]],
  'a participant twice': ({ session }) => [participant, [session.sessionId, session.ownerId, 'VIEWER', at]],
  'a second owner of a session': ({ session, other }) => [participant, [session.sessionId, other.ownerId, 'OWNER', at]],
  'a role that is none': ({ session, other }) => [participant, [session.sessionId, other.ownerId, 'KING', at]],
  'a participant who does not exist': ({ session }) => [participant, [session.sessionId, randomUUID(), 'MEMBER', at]],
  'an invitation as owner': (rows) => invite(rows, 'OWNER', null, 0),
  'an invitation used more often than it may be': (rows) => invite(rows, 'MEMBER', 1, 2),
  'an invitation for nobody': (rows) => invite(rows, 'MEMBER', 0, 0),
  'two messages at one place of a session': ({ job }) => [
    'UPDATE messages SET seq = ? WHERE id = ?',
    [job.messageSeq, job.parentId],
  ],
  'a message with a status that is none': ({ job }) => [
    `UPDATE messages SET status = 'DONE' WHERE id = ?`,
    [job.messageId],
  ],
  'a message with a role that is none': ({ job }) => [
    `UPDATE messages SET role = 'TOOL' WHERE id = ?`,
    [job.messageId],
  ],
  'a message whose parent does not exist': ({ job }) => [
    'UPDATE messages SET parent_id = ? WHERE id = ?',
    [randomUUID(), job.messageId],
  ],
  'a generation that runs and has ended': ({ job }) => [
    'UPDATE generations SET ended_at = ? WHERE id = ?',
    [at, job.generationId],
  ],
  'a generation that is complete and has not ended': ({ job }) => [
    `UPDATE generations SET status = 'COMPLETE' WHERE id = ?`,
    [job.generationId],
  ],
  'a generation of no message': ({ job }) => [
    'UPDATE generations SET message_id = ? WHERE id = ?',
    [randomUUID(), job.generationId],
  ],
  'an API key of nobody': () => [apiKey, [randomUUID(), randomUUID(), 'A', hash, '["read"]', at, at]],
  'an API key without a name': ({ session }) => [apiKey, [randomUUID(), session.ownerId, '', hash, '["read"]', at, at]],
  'an API key without a scope': ({ session }) => [apiKey, [randomUUID(), session.ownerId, 'A', hash, '[]', at, at]],
  'an API key that is no hash': ({ session }) => [
    apiKey,
    [randomUUID(), session.ownerId, 'A', 'parley_plain', '["read"]', at, at],
  ],
  'a revoked token that is no hash': () => [revoked, ['a.b.c', at]],
  'a deleted account under a subject that is no hash': ({ session }) => [
    deleted,
    ['ada@example.org', session.ownerId, at],
  ],
  'negative usage': ({ session }) => [usage, [randomUUID(), randomUUID(), session.ownerId, -1, true, at]],
}

const tables = [
  'users',
  'sessions',
  'session_logs',
  'session_events',
  'participants',
  'invitations',
  'owner_decisions',
  'messages',
  'generations',
  'usage_records',
  'api_keys',
  'revoked_tokens',
  'deleted_accounts',
]

describeOnEach('the database', (database) => {
  let rows: Rows

  beforeAll(async () => {
    const { storage } = database
    const log = new SessionLog(storage, new MemoryBus<Topics>())
    const session = await insertSession(storage)
    rows = { session, other: await insertSession(storage), job: await insertGeneration(storage, log, session) }
  })

  const everything = async (): Promise<unknown[]> =>
    Promise.all(tables.map((table) => database.storage.read.all(`SELECT * FROM ${table} ORDER BY 1, 2`)))

  test.each(Object.entries(refused))('refuses %s', async (_, wrong) => {
    const before = await everything()
    const [sql, params] = wrong(rows)
    await expect(database.storage.transaction((tx) => tx.run(sql, params))).rejects.toThrow(
      /constraint|foreign key|invalid input syntax/i,
    )
    expect(await everything()).toEqual(before)
  })

  test('counts the usage of a generation once', async () => {
    const record = () =>
      database.storage.transaction((tx) =>
        tx.run(usage, [randomUUID(), rows.job.generationId, rows.session.ownerId, 1, true, at]),
      )
    expect(await record()).toBe(1)
    await expect(record()).rejects.toThrow(/unique/i)
  })

  test('deletes all that belongs to a session with it, but for what it used', async () => {
    const { storage } = database
    const log = new SessionLog(storage, new MemoryBus<Topics>())
    const session = await insertSession(storage, { ownerId: await insertUser(storage) })
    const { generationId } = await insertGeneration(storage, log, session)
    await storage.transaction(async (tx) => {
      await tx.run(usage, [randomUUID(), generationId, session.ownerId, 5, true, at])
      await tx.run('UPDATE usage_records SET session_id = ? WHERE generation_id = ?', [session.sessionId, generationId])
    })
    await storage.transaction((tx) => tx.run('DELETE FROM sessions WHERE id = ?', [session.sessionId]))
    for (const table of ['session_logs', 'participants', 'messages', 'generations'])
      expect(await storage.read.all(`SELECT * FROM ${table} WHERE session_id = ?`, [session.sessionId])).toEqual([])
    expect(await storage.read.all('SELECT * FROM session_events WHERE log_id = ?', [session.logId])).toEqual([])
    expect(
      await storage.read.all(
        `SELECT session_id AS "sessionId", prompt_tokens AS "promptTokens" FROM usage_records WHERE generation_id = ?`,
        [generationId],
      ),
    ).toEqual([{ sessionId: null, promptTokens: 5 }])
  })
})
