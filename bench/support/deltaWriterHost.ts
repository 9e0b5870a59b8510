import { randomUUID } from 'node:crypto'
import Database from 'better-sqlite3'
import { MemoryBus } from '../../server/bus/memoryBus.ts'
import { readConfig } from '../../server/config/config.ts'
import { DeltaWriter, type DeltaStream } from '../../server/generation/deltaWriter.ts'
import { SessionLog } from '../../server/log/sessionLog.ts'
import { createLogger } from '../../server/logger.ts'
import { openStorage } from '../../server/storage/openStorage.ts'
import type { Topics } from '../../server/topics.ts'
import { answer } from './answer.ts'
import { micros } from './clock.ts'
import { cpuMicros } from './cpu.ts'
import { token } from './tokens.ts'

/** Our writer and storage without anything around them: no provider, no followers. */
const path = process.argv[2]!
const config = readConfig({ DATABASE_URL: `sqlite:${path}` })
const storage = await openStorage(config)
const log = new SessionLog(storage, new MemoryBus<Topics>())
const writer = new DeltaWriter(storage, log, createLogger(config), config.deltaFlushMs)

/** The rows that a running generation has. */
function makeStreams(count: number): DeltaStream[] {
  const database = new Database(path)
  database.pragma('synchronous = OFF')
  const now = new Date()
  const user = randomUUID()
  database
    .prepare(`INSERT INTO users (id, subject, name, is_admin, created_at) VALUES (?, ?, 'Bench', 0, 0)`)
    .run(user, user)
  const streams = Array.from({ length: count }, () => {
    const [sessionId, messageId, generationId] = [randomUUID(), randomUUID(), randomUUID()]
    database
      .prepare(
        `INSERT INTO sessions (id, owner_id, title, is_title_set, model, settings, metadata, is_archived, created_at, updated_at, last_active_at)
         VALUES (?, ?, '', 0, 'm', '{}', '{}', 0, 0, 0, 0)`,
      )
      .run(sessionId, user)
    const logRow = database.prepare(`INSERT INTO session_logs (session_id, last_seq) VALUES (?, 1)`).run(sessionId)
    database
      .prepare(
        `INSERT INTO messages (id, session_id, seq, role, type, content, content_seq, status, metadata, created_at, updated_at)
         VALUES (?, ?, 1, 'ASSISTANT', 'TEXT', '', 1, 'PENDING', '{}', 0, 0)`,
      )
      .run(messageId, sessionId)
    database
      .prepare(
        `INSERT INTO generations (id, message_id, session_id, user_id, model, settings, status, attempts, owner_node, lease_until, fence, started_at)
         VALUES (?, ?, ?, ?, 'm', '{}', 'PENDING', 1, 'n', 0, 1, 0)`,
      )
      .run(generationId, messageId, sessionId, user)
    return {
      sessionId,
      logId: Number(logRow.lastInsertRowid),
      generationId,
      fence: 1,
      messageId,
      messageSeq: 1,
      startedAt: now,
      stored: '',
      pending: '',
      lastSeq: 1,
      timeToFirstTokenMs: null,
      onLost: () => undefined,
    }
  })
  database.close()
  return streams
}

const methods = {
  /** Makes tokens for a while; CPU in microseconds of this process, and how many there were. */
  async run({
    generations,
    rate,
    seconds,
    store,
  }: {
    generations: number
    rate: number
    seconds: number
    store: boolean
  }) {
    const streams = makeStreams(generations)
    const period = 1e6 / rate
    const start = micros() + 50_000
    const total = seconds * rate
    const sent = streams.map(() => 0)
    let left = generations * total
    const done = Promise.withResolvers<void>()
    const turn = () => {
      const now = micros()
      for (const [index, stream] of streams.entries()) {
        const due = Math.min(total, 1 + Math.floor((now - start - (index * period) / generations) / period))
        while (sent[index]! < due) {
          const text = token(sent[index]!++)
          if (store) writer.push(stream, text)
          left--
        }
      }
      if (left === 0) done.resolve()
    }
    const before = cpuMicros(process.pid)
    const timer = setInterval(turn, 2)
    await done.promise
    clearInterval(timer)
    const rests = store ? await Promise.all(streams.map((stream) => writer.finish(stream))) : []
    const cpu = cpuMicros(process.pid) - before
    const stored = streams.reduce((sum, stream) => sum + stream.lastSeq - 1, 0)
    const tokens = generations * total
    const characters = streams.reduce(
      (sum, stream, index) => sum + stream.stored.length + (rests[index]?.length ?? 0),
      0,
    )
    if (store && characters !== tokens * token(0).length)
      throw new Error(`${characters} characters of ${tokens} tokens are stored`)
    return { cpu, stored, window: [start, micros()] as [number, number] }
  },
}
export type DeltaWriterHost = typeof methods

answer('', methods)
