import type { FinishReason } from '../entities/generation.ts'
import type { GenerationSettings } from '../entities/session.ts'
import type { Logger } from '../logger.ts'
import type { SessionLog } from '../log/sessionLog.ts'
import { ProviderError } from '../providers/provider.ts'
import type { Providers } from '../providers/registry.ts'
import type { Storage } from '../storage/storage.ts'
import type { DeltaStream, DeltaWriter } from './deltaWriter.ts'
import { finishGeneration, type Outcome } from './finish.ts'
import { charactersOf, estimateUsage, promptOf, type PromptParts } from './usage.ts'

/** A generation whose rows are stored and that is to be run on this node. */
export interface Job {
  generationId: string
  fence: number
  sessionId: string
  logId: number
  messageId: string
  messageSeq: number
  /** The message that it answers. */
  parentId: string
  userId: string
  model: string
  settings: GenerationSettings
  startedAt: Date
  /** Of the request that started it, for the log and the provider. */
  requestId?: string
}

export interface RunParts extends PromptParts {
  log: SessionLog
  logger: Logger
  providers: Providers
  writer: DeltaWriter
}

/** Why a run was aborted from outside: the reason of its signal. */
export type AbortReason = 'stopped' | 'interrupted' | 'lost'

export interface Run {
  readonly job: Job
  readonly stream: DeltaStream
  /**
   * Settles once the provider's connection is closed and the end is stored, with what became of it; `LOST` where its
   * lease was taken away. Never rejects.
   */
  readonly done: Promise<Outcome['status'] | 'LOST'>
  abort(reason: AbortReason): void
}

/** Runs a model once and writes what it says, to exactly one end. */
export function startRun(parts: RunParts, job: Job): Run {
  const controller = new AbortController()
  const stream: DeltaStream = {
    sessionId: job.sessionId,
    logId: job.logId,
    generationId: job.generationId,
    fence: job.fence,
    messageId: job.messageId,
    messageSeq: job.messageSeq,
    startedAt: job.startedAt,
    stored: '',
    pending: '',
    lastSeq: job.messageSeq,
    timeToFirstTokenMs: null,
    onLost: () => controller.abort('lost' satisfies AbortReason),
  }
  return {
    job,
    stream,
    done: run(parts, job, stream, controller.signal),
    abort: (reason) => controller.abort(reason),
  }
}

async function run(
  parts: RunParts,
  job: Job,
  stream: DeltaStream,
  signal: AbortSignal,
): Promise<Outcome['status'] | 'LOST'> {
  const { storage, log, logger, providers, writer } = parts
  let attempts = 0
  let asked = job.model
  let promptCharacters = 0
  let usage: Outcome['usage'] | undefined
  let finishReason: FinishReason | null = null
  let hasText = false
  let failure: unknown
  try {
    const messages = await promptOf(parts, job)
    promptCharacters = charactersOf(messages)
    signal.throwIfAborted()
    const { temperature, topP, maxTokens } = job.settings
    const request = {
      messages,
      temperature: temperature ?? undefined,
      topP: topP ?? undefined,
      maxTokens: maxTokens ?? undefined,
      requestId: job.requestId,
    }
    await providers.stream(job.model, request, {
      signal,
      onAttempt(attempt, { id }) {
        attempts = attempt
        asked = id
        usage = undefined
        finishReason = null
      },
      sink(part) {
        if (part.type === 'text') {
          hasText ||= part.text.trim() !== ''
          writer.push(stream, part.text)
        }
        if (part.type === 'usage') usage = { ...part, isEstimated: false }
        else if (part.type === 'finish') finishReason = part.reason.toUpperCase() as Uppercase<typeof part.reason>
      },
    })
    if (!hasText) failure = noAnswer(asked, finishReason)
  } catch (error) {
    failure = error
  }
  if (signal.reason === ('lost' satisfies AbortReason)) return 'LOST'
  const ending = endOf(signal, failure)
  if (ending.error?.code === 'INTERNAL')
    logger.error('a generation failed', { error: failure, generation: job.generationId })
  await untilItWorks(logger, signal, async () => {
    const rest = await writer.finish(stream)
    const content = stream.stored + rest
    const isOurs = await finishGeneration(storage, log, {
      ...job,
      fence: stream.fence,
      // where nobody answered, the error is that of the model that was wanted
      model: ending.error && content === '' ? job.model : asked,
      content,
      storedLength: stream.stored.length,
      outcome: {
        ...ending,
        finishReason: ending.status === 'COMPLETE' ? finishReason : null,
        attempts,
        timeToFirstTokenMs: rest && stream.timeToFirstTokenMs === null ? Date.now() - job.startedAt.getTime() : null,
        usage: usage ?? estimateUsage({ attempts, promptCharacters, content }),
      },
    }).catch((error: unknown) => {
      stream.pending = rest
      throw error
    })
    if (!isOurs) await tellWhyNotOurs(storage, logger, job)
  })
  return ending.status
}

async function tellWhyNotOurs(storage: Storage, logger: Logger, { generationId }: Job): Promise<void> {
  const [left] = await storage.read.all(`SELECT id FROM generations WHERE id = ?`, [generationId])
  if (left) logger.warn('a generation had been ended by another node', { generation: generationId })
  else logger.debug('the session of a generation had been deleted', { generation: generationId })
}

/** A model may end well and say nothing, or nothing but reasoning: nobody can read that as an answer. */
function noAnswer(model: string, reason: FinishReason | null): ProviderError {
  const why =
    reason === 'LENGTH'
      ? 'It used up its limit before it began. Allow a longer answer, or choose another model.'
      : reason === 'CONTENT_FILTER'
        ? 'Its content filter held the answer back. Ask differently, or choose another model.'
        : 'Try again, or choose another model.'
  return new ProviderError('PROVIDER_ERROR', `${model} gave no answer. ${why}`, { retryable: false })
}

/** What became of a run, from why its stream ended. */
function endOf(signal: AbortSignal, failure: unknown): Pick<Outcome, 'status' | 'error'> {
  const reason = signal.aborted ? (signal.reason as AbortReason) : undefined
  if (failure === undefined) return { status: 'COMPLETE', error: null }
  if (reason === 'stopped') return { status: 'STOPPED', error: null }
  if (reason === 'interrupted')
    return {
      status: 'INTERRUPTED',
      error: {
        code: 'INTERRUPTED',
        message: 'The server was shut down while it was answering. Send the message again.',
      },
    }
  if (failure instanceof ProviderError)
    return { status: 'FAILED', error: { code: failure.code, message: failure.message } }
  return {
    status: 'FAILED',
    error: { code: 'INTERNAL', message: 'The answer could not be made. Send the message again.' },
  }
}

const retryMs = [100, 500, 2_000]
const laterRetryMs = 5_000
/** A database that is restarted or fails over is back by then; who stops a server does not wait so long. */
const patienceMs = 60_000
const patienceInShutdownMs = 8_000

/** The end of a generation is stored also where the database is away for a while; after that the reaper writes it. */
async function untilItWorks(logger: Logger, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  const startedAt = performance.now()
  for (let attempt = 0; ; attempt++)
    try {
      await work()
      return
    } catch (error) {
      logger.error('the end of a generation could not be stored', { error })
      const reason = signal.reason as AbortReason | undefined
      const waitMs = retryMs[attempt] ?? laterRetryMs
      const limitMs = reason === 'interrupted' ? patienceInShutdownMs : patienceMs
      if (reason === 'lost' || performance.now() - startedAt + waitMs > limitMs) return
      await new Promise((resolve) => setTimeout(resolve, waitMs))
    }
}
