import { randomUUID } from 'node:crypto'
import { onTestFinished } from 'vitest'
import { MemoryBus } from '../../server/bus/memoryBus.ts'
import { Generations } from '../../server/generation/generations.ts'
import type { Job } from '../../server/generation/run.ts'
import type { SessionEvent } from '../../server/log/event.ts'
import { follow } from '../../server/log/follow.ts'
import { SessionLog } from '../../server/log/sessionLog.ts'
import { createLogger } from '../../server/logger.ts'
import { createProviders } from '../../server/providers/registry.ts'
import type { Storage } from '../../server/storage/storage.ts'
import type { Topics } from '../../server/topics.ts'
import type { Behaviour } from '../support/behaviour.ts'
import { startFakeModelServer, type FakeModelServer } from '../support/fakeModelServer.ts'
import { insertGeneration, insertSession, type GenerationRows, type SessionRows } from '../support/rows.ts'
import { configFor, type TestStorage } from '../support/storages.ts'
import { readAll } from '../log/followed.ts'

export interface Node {
  generations: Generations
  log: SessionLog
  storage: Storage
  /** What was logged as an error. */
  errors: string[]
  /** Stores what sending a message stores, and runs it. */
  ask(of?: GenerationRows & { session?: SessionRows }): Promise<Asked>
}

export interface Asked {
  job: Job
  session: SessionRows
  /** Resolves once the generation has ended, with what a follower from the start saw. */
  ended: Promise<SessionEvent[]>
  /** Resolves once a follower has seen so much of the text. */
  seen(characters: number): Promise<void>
}

export interface Ended {
  status: string
  messageStatus: string
  content: string
  contentSeq: number
  errorCode: string | null
  errorMessage: string | null
  finishReason: string | null
  attempts: number
  timeToFirstTokenMs: number | null
  responseTimeMs: number | null
  endedAt: unknown
}

export interface NodeParts {
  storage?: Storage
  bus?: MemoryBus<Topics>
  env?: Record<string, string>
  /** Whether timers, the reaper among them, run. */
  isStarted?: boolean
}

export async function startModel(behaviour: Behaviour = {}): Promise<FakeModelServer> {
  const model = await startFakeModelServer({ behaviour })
  onTestFinished(() => model.stop())
  return model
}

/** The part of a server that runs generations, on a test's database, over a real provider. Ends with its test. */
export async function startNode(database: TestStorage, model: FakeModelServer, parts: NodeParts = {}): Promise<Node> {
  const config = configFor(database.url, { LOCAL_BASE_URL: model.url, LOG_LEVEL: 'error', ...parts.env })
  const errors: string[] = []
  const logger = createLogger(config, (line) => void errors.push(line))
  const storage = parts.storage ?? database.storage
  const bus = parts.bus ?? new MemoryBus<Topics>()
  const log = new SessionLog(storage, bus, { pollIntervalMs: 50 })
  const providers = createProviders(config, { random: () => 0 })
  const generations = new Generations({ config, logger, storage, bus, log, providers, nodeId: randomUUID() })
  log.start()
  if (parts.isStarted ?? true) await generations.start()
  onTestFinished(async () => {
    await generations.close(0)
    log.stop()
    await providers.close()
  })

  return {
    generations,
    log,
    storage,
    errors,
    async ask({ session: given, ...of } = {}) {
      const session = given ?? (await insertSession(database.storage))
      const job = await insertGeneration(database.storage, log, session, { ownerNode: generations.nodeId, ...of })
      const asked = watch(log, session, job)
      generations.run(job)
      return asked
    },
  }
}

/** Follows a session from the start until a generation has ended. */
export function watch(log: SessionLog, session: SessionRows, job: Job): Asked {
  const waiting: { characters: number; resolve: () => void }[] = []
  let length = 0
  const ended = (async () => {
    const seen: SessionEvent[] = []
    for await (const event of follow(log, session.sessionId, { after: 0, viewerId: randomUUID() })) {
      seen.push(event)
      if (event.messageId === job.messageId) length = event.offset + event.text.length
      for (const { characters, resolve } of waiting) if (length >= characters) resolve()
      if (event.kind === 'GenerationEnded' && event.subjectId === job.generationId) break
    }
    return seen
  })()
  return {
    job,
    session,
    ended,
    seen(characters) {
      const { promise, resolve } = Promise.withResolvers<void>()
      if (length >= characters) resolve()
      waiting.push({ characters, resolve })
      return promise
    },
  }
}

/** What is stored of a generation and its message. */
export async function readGeneration({ storage }: { storage: Storage }, job: Job): Promise<Ended> {
  const [row] = await storage.read.all<Ended>(
    `SELECT g.status, m.status AS "messageStatus", m.content, m.content_seq AS "contentSeq", g.error_code AS "errorCode",
       g.error_message AS "errorMessage", g.finish_reason AS "finishReason", g.attempts, g.time_to_first_token_ms AS "timeToFirstTokenMs",
       g.response_time_ms AS "responseTimeMs", g.ended_at AS "endedAt"
     FROM generations g JOIN messages m ON m.id = g.message_id WHERE g.id = ?`,
    [job.generationId],
  )
  return row!
}

/** Who wrote, as the generation, its message and its usage have it. */
export async function readModels({ storage }: { storage: Storage }, job: Job): Promise<Record<string, string>> {
  const [row] = await storage.read.all<Record<string, string>>(
    `SELECT g.model AS generation, m.model AS message, u.model AS usage
     FROM generations g JOIN messages m ON m.id = g.message_id JOIN usage_records u ON u.generation_id = g.id
     WHERE g.id = ?`,
    [job.generationId],
  )
  return { ...row! }
}

export interface Usage {
  promptTokens: number
  completionTokens: number
  isEstimated: boolean
}

export async function readUsage({ storage }: { storage: Storage }, job: Job): Promise<Usage[]> {
  const rows = await storage.read.all<Usage>(
    `SELECT prompt_tokens AS "promptTokens", completion_tokens AS "completionTokens", is_estimated AS "isEstimated"
     FROM usage_records WHERE generation_id = ?`,
    [job.generationId],
  )
  return rows.map((row) => ({ ...row, isEstimated: Boolean(row.isEstimated) }))
}

/** The text of a message as its deltas tell it; throws where one does not join on to the one before. */
export function textOf(events: readonly SessionEvent[], { messageId }: Job): string {
  let text = ''
  for (const event of events) {
    if (event.kind !== 'MessageDelta' || event.messageId !== messageId) continue
    if (event.offset !== text.length)
      throw new Error(`A delta at ${event.offset} came after ${text.length} characters.`)
    text += event.text
  }
  return text
}

/** What a generation left in the log: the text of its deltas, and how often it ended. */
export async function readTold({ storage }: { storage: Storage }, job: Job): Promise<{ text: string; ends: number }> {
  const events = await readAll(storage, job)
  return {
    text: textOf(events, job),
    ends: events.filter(({ kind, subjectId }) => kind === 'GenerationEnded' && subjectId === job.generationId).length,
  }
}
