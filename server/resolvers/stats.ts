import type { Context } from '../context.ts'
import { requireAction, requireViewer } from '../guards/access.ts'
import type { Param, Row } from '../storage/storage.ts'
import type { Usage } from '../storage/rows.ts'

export interface Stats {
  totalSessions: number
  totalMessages: number
  activeSessions: number
  messagesToday: number
  averageResponseTimeMs: number | null
  p95ResponseTimeMs: number | null
  averageTimeToFirstTokenMs: number | null
  errorRate: number
  mostUsedProvider: string | null
  mostUsedModel: string | null
  usage: Usage
}

const activeMs = 15 * 60_000

/** Counts over what the viewer may read, or over everything for an admin. Messages are people's and models'. */
export async function stats(ctx: Context, { scope }: { scope?: 'VIEWER' | 'ALL' | null }): Promise<Stats> {
  const viewer = requireViewer(ctx)
  const isAll = scope === 'ALL'
  if (isAll) requireAction(ctx, 'stats(scope: ALL)')
  const readable = (column: string) =>
    isAll ? 'true' : `${column} IN (SELECT session_id FROM participants WHERE user_id = ?)`
  const who: Param[] = isAll ? [] : [viewer.id]
  const now = new Date()
  const today = new Date(now)
  today.setUTCHours(0, 0, 0, 0)

  const results = await ctx.storage.snapshot([
    {
      sql: `SELECT count(*) AS total, coalesce(sum(CASE WHEN EXISTS (
              SELECT 1 FROM session_events e WHERE e.log_id = l.log_id AND e.seq = l.last_seq AND e.created_at > ?
            ) OR ${ctx.storage.dialect.hasJournaled('l.log_id')} THEN 1 ELSE 0 END), 0) AS active
            FROM session_logs l WHERE ${readable('l.session_id')}`,
      params: [new Date(now.getTime() - activeMs), ...who],
    },
    {
      sql: `SELECT count(*) AS total, coalesce(sum(CASE WHEN created_at >= ? THEN 1 ELSE 0 END), 0) AS today
            FROM messages WHERE role IN ('USER', 'ASSISTANT') AND ${readable('session_id')}`,
      params: [today, ...who],
    },
    {
      sql: `SELECT count(ended_at) AS ended, avg(time_to_first_token_ms) AS "firstToken",
              coalesce(sum(CASE WHEN status IN ('FAILED', 'INTERRUPTED') THEN 1 ELSE 0 END), 0) AS failed,
              avg(CASE WHEN status = 'COMPLETE' THEN response_time_ms END) AS average
            FROM generations WHERE ${readable('session_id')}`,
      params: who,
    },
    {
      // the nearest rank: the smallest that 95 of 100 do not exceed
      sql: `SELECT ms FROM (
              SELECT response_time_ms AS ms, row_number() OVER (ORDER BY response_time_ms) AS place, count(*) OVER () AS places
              FROM generations WHERE status = 'COMPLETE' AND response_time_ms IS NOT NULL AND ${readable('session_id')}
            ) AS ranked WHERE place = (places * 95 + 99) / 100`,
      params: who,
    },
    {
      sql: `SELECT model, count(*) AS uses FROM generations WHERE ${readable('session_id')} GROUP BY model ORDER BY uses DESC, model`,
      params: who,
    },
    {
      // a deleted session's usage stays with whoever asked for it
      sql: `SELECT coalesce(sum(prompt_tokens), 0) AS prompt, coalesce(sum(completion_tokens), 0) AS completion,
              coalesce(max(CASE WHEN is_estimated THEN 1 ELSE 0 END), 0) AS estimated
            FROM usage_records WHERE ${isAll ? 'true' : `(${readable('session_id')} OR (session_id IS NULL AND user_id = ?))`}`,
      params: isAll ? [] : [viewer.id, viewer.id],
    },
  ])
  const [sessions, messages, generations, p95, , usage] = results.map(([row]) => row ?? {}) as [
    Row,
    Row,
    Row,
    Row,
    Row,
    Row,
  ]
  const models = results[4] as unknown as { model: string; uses: number | string }[]
  const ended = Number(generations.ended)
  return {
    totalSessions: Number(sessions.total),
    activeSessions: Number(sessions.active),
    totalMessages: Number(messages.total),
    messagesToday: Number(messages.today),
    averageResponseTimeMs: numberOrNull(generations.average),
    p95ResponseTimeMs: numberOrNull(p95.ms),
    averageTimeToFirstTokenMs: numberOrNull(generations.firstToken),
    errorRate: ended === 0 ? 0 : Number(generations.failed) / ended,
    mostUsedModel: models[0]?.model ?? null,
    mostUsedProvider: mostUsedProvider(models),
    usage: {
      promptTokens: Number(usage.prompt),
      completionTokens: Number(usage.completion),
      isEstimated: Boolean(Number(usage.estimated)),
    },
  }
}

const numberOrNull = (value: unknown): number | null => (value == null ? null : Number(value))

function mostUsedProvider(models: { model: string; uses: number | string }[]): string | null {
  const uses = new Map<string, number>()
  for (const { model, uses: count } of models) {
    const [provider = model] = model.split('/')
    uses.set(provider, (uses.get(provider) ?? 0) + Number(count))
  }
  const [most] = [...uses].sort(([a, m], [b, n]) => n - m || a.localeCompare(b))
  return most?.[0] ?? null
}
