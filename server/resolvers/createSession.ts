import { randomUUIDv7 } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { Context } from '../context.ts'
import type { GenerationSettings } from '../entities/session.ts'
import { requireAccount, requireViewer } from '../guards/access.ts'
import { isUniqueViolation } from '../storage/storage.ts'
import { audit } from './audit.ts'
import { idTaken, requireFreeId } from './freeId.ts'
import { insert, sessionColumns, sessionOf, type SessionRow } from '../storage/rows.ts'
import { pickModel } from './session.ts'
import { bySettings, clientId, metadataSchema, modelSchema, parse, settingsSchema, writtenText } from './validation.ts'
import { tellViewer } from './viewerEvents.ts'

const createSchema = bySettings(({ maxTitleCharacters, maxMetadataBytes }) =>
  z.object({
    id: clientId.nullish(),
    title: writtenText(maxTitleCharacters).nullish(),
    model: modelSchema.nullish(),
    settings: settingsSchema.nullish(),
    metadata: metadataSchema(maxMetadataBytes).nullish(),
  }),
)
export type CreateSessionInput = z.input<ReturnType<typeof createSchema>>
type Wanted = z.infer<ReturnType<typeof createSchema>>

/**
 * Makes a session whose owner is the viewer. A repeat under the same id with the same content returns the first.
 * @throws ConflictError where the id is in use for anything else
 */
export async function createSession(ctx: Context, input: CreateSessionInput): Promise<{ session: SessionRow }> {
  const startedAt = performance.now()
  const viewer = requireViewer(ctx)
  const wanted = parse(createSchema(ctx.config), input)
  const id = wanted.id ?? randomUUIDv7()
  const earlier = wanted.id && (await findEarlier(ctx, wanted.id, wanted, viewer.id))
  if (earlier) return { session: earlier }

  const now = new Date()
  const session: SessionRow = {
    id,
    ownerId: viewer.id,
    title: wanted.title ?? '',
    isTitleSet: wanted.title != null,
    model: await pickModel(ctx, wanted.model),
    settings: settingsOf(wanted),
    metadata: wanted.metadata ?? {},
    isArchived: false,
    messageCount: 0,
    createdAt: now,
    updatedAt: now,
    lastActiveAt: now,
  }
  try {
    await ctx.storage.transaction(async (tx) => {
      if (wanted.id) await requireFreeId(tx, id, ['users', 'messages', 'generations'])
      await insert(tx, 'sessions', { ...session })
      await ctx.log.create(tx, id)
      await insert(tx, 'participants', { sessionId: id, userId: viewer.id, role: 'OWNER', joinedAt: now })
      await requireAccount(tx, viewer.id)
      await audit(tx, ctx, { action: 'createSession', sessionId: id, startedAt })
      tellViewer(tx, ctx, viewer.id, { kind: 'SessionListed', sessionId: id })
    })
  } catch (error) {
    // the same call on another connection was faster
    const first = isUniqueViolation(error) && (await findEarlier(ctx, id, wanted, viewer.id))
    if (!first) throw error
    return { session: first }
  }
  return { session }
}

const settingsOf = ({ settings }: Wanted): GenerationSettings => ({
  systemPrompt: settings?.systemPrompt ?? null,
  temperature: settings?.temperature ?? null,
  topP: settings?.topP ?? null,
  maxTokens: settings?.maxTokens ?? null,
  tools: settings?.tools ?? [],
})

async function findEarlier(
  ctx: Context,
  id: string,
  wanted: Wanted,
  viewerId: string,
): Promise<SessionRow | undefined> {
  const [row] = await ctx.storage.read.all(`SELECT ${sessionColumns('s')} FROM sessions s WHERE s.id = ?`, [id])
  if (!row) return undefined
  const session = sessionOf(row)
  const isSame =
    session.ownerId === viewerId &&
    (wanted.title == null ? !session.isTitleSet : session.isTitleSet && session.title === wanted.title) &&
    (wanted.model == null || session.model === wanted.model) &&
    isDeepStrictEqual(session.settings, settingsOf(wanted)) &&
    isDeepStrictEqual(session.metadata, JSON.parse(JSON.stringify(wanted.metadata ?? {})))
  if (!isSame) throw idTaken()
  return session
}
