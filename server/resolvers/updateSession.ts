import { z } from 'zod'
import type { Context } from '../context.ts'
import type { GenerationSettings } from '../entities/session.ts'
import { requireSession, requireStill } from '../guards/access.ts'
import type { Tx } from '../storage/storage.ts'
import { audit } from './audit.ts'
import { sessionColumns, sessionOf, type SessionRow } from '../storage/rows.ts'
import { lockSession, pickModel } from './session.ts'
import {
  bySettings,
  metadataSchema,
  modelSchema,
  parse,
  settingsSchema,
  writtenText,
  type SettingsInput,
} from './validation.ts'
import { tellViewers } from './viewerEvents.ts'

const updateSchema = bySettings(({ maxTitleCharacters, maxMetadataBytes }) =>
  z.object({
    title: writtenText(maxTitleCharacters).nullish(),
    model: modelSchema.nullish(),
    settings: settingsSchema.nullish(),
    isArchived: z.boolean().nullish(),
    metadata: metadataSchema(maxMetadataBytes).nullish(),
  }),
)
export type UpdateSessionInput = z.input<ReturnType<typeof updateSchema>> & { sessionId: string }

/** Changes what is given of a session; what is left out or null stays, but for a setting, which null clears. */
export async function updateSession(
  ctx: Context,
  { sessionId, ...input }: UpdateSessionInput,
): Promise<{ session: SessionRow }> {
  const startedAt = performance.now()
  const { session } = await requireSession(ctx, sessionId, 'updateSession')
  const wanted = parse(updateSchema(ctx.config), input)
  const model = wanted.model == null ? null : await pickModel(ctx, wanted.model)

  return ctx.storage.transaction(async (tx) => {
    await lockSession(tx, ctx, session.id)
    await requireStill(tx, ctx.viewer!.id, session.id, 'updateSession')
    const before = await read(tx, session.id)
    const after: SessionRow = {
      ...before,
      title: wanted.title ?? before.title,
      isTitleSet: wanted.title != null || before.isTitleSet,
      model: model ?? before.model,
      settings: mergeSettings(before.settings, wanted.settings),
      isArchived: wanted.isArchived ?? before.isArchived,
      metadata: wanted.metadata ?? before.metadata,
      updatedAt: new Date(),
    }
    await tx.run(
      `UPDATE sessions SET title = ?, is_title_set = ?, model = ?, settings = ?, is_archived = ?, metadata = ?, updated_at = ?
       WHERE id = ?`,
      [
        after.title,
        after.isTitleSet,
        after.model,
        JSON.stringify(after.settings),
        after.isArchived,
        JSON.stringify(after.metadata),
        after.updatedAt,
        session.id,
      ],
    )
    await ctx.log.append(tx, session.id, [{ kind: 'SessionUpdated' }])
    await audit(tx, ctx, { action: 'updateSession', sessionId: session.id, startedAt })
    await tellViewers(tx, ctx, session.id, 'SessionChanged')
    return { session: after }
  })
}

async function read(tx: Tx, id: string): Promise<SessionRow> {
  const [row] = await tx.all(`SELECT ${sessionColumns('s')} FROM sessions s WHERE s.id = ?`, [id])
  return sessionOf(row!)
}

/** Settings with those changed that the input gives: what it leaves out stays, null clears. */
export function mergeSettings(before: GenerationSettings, input: SettingsInput | null | undefined): GenerationSettings {
  const given = Object.fromEntries(Object.entries(input ?? {}).filter(([, value]) => value !== undefined))
  const merged = { ...before, ...given }
  return { ...merged, tools: merged.tools ?? [] }
}
