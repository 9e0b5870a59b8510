import { createHash, randomUUIDv7 } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryBus } from '../../server/bus/memoryBus.ts'
import { readConfig } from '../../server/config/config.ts'
import type { Context, Services } from '../../server/context.ts'
import type { User } from '../../server/entities/user.ts'
import { Generations } from '../../server/generation/generations.ts'
import { AuditLog } from '../../server/guards/auditLog.ts'
import { Identity } from '../../server/guards/identity.ts'
import { accountOf } from '../../server/guards/revocations.ts'
import { Limits } from '../../server/guards/limits.ts'
import { createLogger } from '../../server/logger.ts'
import { Metrics } from '../../server/metrics/metrics.ts'
import { SessionLog } from '../../server/log/sessionLog.ts'
import { Presence } from '../../server/presence/presence.ts'
import { demo } from '../../server/providers/demo.ts'
import { createProviders } from '../../server/providers/registry.ts'
import { createContext } from '../../server/resolvers/createContext.ts'
import { createSession } from '../../server/resolvers/createSession.ts'
import { openStorage } from '../../server/storage/openStorage.ts'
import { insert, type SessionRow } from '../../server/storage/rows.ts'
import type { Storage } from '../../server/storage/storage.ts'
import type { Topics } from '../../server/topics.ts'
import { createDatabase } from '../support/postgres.ts'

export const databases = ['SQLite', 'PostgreSQL'] as const

export interface House {
  services: Services
  /** Texts of the statements that were read since it was last emptied. */
  reads: string[]
  /** Makes a user. */
  user(name?: string, as?: { isAdmin?: boolean }): Promise<User>
  /** A context of an operation that this user asks for. */
  ctx(viewer: User | null, address?: string): Context
  session(owner: User, title?: string): Promise<SessionRow>
  join(session: SessionRow, user: User, role: 'MEMBER' | 'VIEWER'): Promise<void>
  /** Stores this many messages of a user at once. @returns their ids, oldest first */
  messages(session: SessionRow, author: User, count: number): Promise<string[]>
  rows(table: string): Promise<number>
  close(): Promise<void>
}

/** All parts of a server but those that listen, on a real database of its own. */
export async function openHouse(database: (typeof databases)[number]): Promise<House> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-house-'))
  const postgres = database === 'PostgreSQL' ? await createDatabase() : undefined
  const config = readConfig({
    DATABASE_URL: postgres?.url ?? `sqlite:${join(folder, 'parley.db')}`,
    LOG_LEVEL: 'silent',
  })
  const logger = createLogger(config)
  const real = await openStorage(config)
  const reads: string[] = []
  const storage: Storage = {
    ...real,
    read: {
      ...real.read,
      all: (sql, params) => {
        reads.push(sql)
        return real.read.all(sql, params)
      },
    },
    snapshot: (statements) => {
      reads.push(...statements.map(({ sql }) => sql))
      return real.snapshot(statements)
    },
  }
  const bus = new MemoryBus<Topics>()
  const log = new SessionLog(storage, bus)
  const presence = new Presence(storage, bus, log, logger)
  const providers = createProviders(config, { providers: [demo()] })
  const generations = new Generations({ config, logger, storage, bus, log, providers, nodeId: randomUUIDv7() })
  const services: Services = {
    ...{ config, logger, storage, bus, log, presence, providers, generations },
    identity: new Identity(config, storage, Buffer.alloc(32, 7), bus, logger),
    limits: new Limits(config),
    audit: new AuditLog(storage, logger, config),
    metrics: new Metrics(),
    version: '0.0.0',
    connectionCount: () => 0,
  }
  const ctx = (viewer: User | null, address = '127.0.0.1') =>
    createContext(services, {
      ...{
        viewer,
        expiresAt: viewer && new Date(Date.now() + 3_600_000),
        scopes: null,
        address,
        origin: 'http://house.test',
      },
      credential: viewer && {
        id: createHash('sha256').update(viewer.id).digest('hex'),
        account: accountOf(viewer.id),
        signedBy: null,
      },
    })

  return {
    services,
    reads,
    ctx,
    async user(name = 'Ada', { isAdmin = false } = {}) {
      const id = randomUUIDv7()
      const user: User = {
        id,
        subject: id,
        name,
        isNameChosen: false,
        isAdmin,
        createdAt: new Date(),
        lastSeenAt: null,
      }
      await storage.transaction((tx) => insert(tx, 'users', user))
      return user
    },
    async session(owner, title) {
      return (await createSession(ctx(owner), { title })).session
    },
    async join({ id: sessionId }, { id: userId }, role) {
      await storage.transaction((tx) => insert(tx, 'participants', { sessionId, userId, role, joinedAt: new Date() }))
    },
    async messages({ id: sessionId }, author, count) {
      const ids = Array.from({ length: count }, () => randomUUIDv7())
      await storage.transaction(async (tx) => {
        const blank = { sessionId, role: 'USER', type: 'TEXT', contentSeq: 0, status: 'COMPLETE', authorId: author.id }
        for (const id of ids) {
          const now = new Date()
          const [event] = await log.append(tx, sessionId, [{ kind: 'MessageAdded', subjectId: id }])
          await insert(tx, 'messages', {
            ...{ ...blank, id, seq: event!.seq, content: `text of ${event!.seq}`, parentId: null, model: null },
            ...{ metadata: {}, createdAt: now, updatedAt: now },
          })
        }
        await tx.run(`UPDATE sessions SET message_count = message_count + ? WHERE id = ?`, [count, sessionId])
      })
      return ids
    },
    async rows(table) {
      const [row] = await real.read.all<{ n: number | string }>(`SELECT count(*) AS n FROM ${table}`)
      return Number(row!.n)
    },
    async close() {
      presence.stop()
      log.stop()
      await generations.close(0)
      await providers.close()
      await real.close()
      await postgres?.drop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
