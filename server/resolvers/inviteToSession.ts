import { createHash, randomBytes, randomUUIDv7 } from 'node:crypto'
import { z } from 'zod'
import type { Context } from '../context.ts'
import type { ParticipantRole } from '../entities/participant.ts'
import { requireSession, requireStill, requireViewer } from '../guards/access.ts'
import { audit } from './audit.ts'
import { insert } from '../storage/rows.ts'
import { lockSession } from './session.ts'
import { parse } from './validation.ts'

export interface InviteToSessionInput {
  sessionId: string
  role: ParticipantRole
  expiresInSeconds?: number | null
  maxUses?: number | null
}

const weekSeconds = 604_800
const yearSeconds = 31_536_000

const inviteSchema = z.object({
  role: z.enum(['MEMBER', 'VIEWER'], 'Must be MEMBER or VIEWER: a session has one owner.'),
  expiresInSeconds: z
    .number()
    .refine((value) => value >= 1 && value <= yearSeconds, 'Must be from 1 to 31,536,000 seconds, which is a year.')
    .nullish(),
  maxUses: z.number().min(1, 'Must be at least 1; null for any number.').nullish(),
})

export const hashInvitation = (token: string): string => createHash('sha256').update(token).digest('hex')

/** The page's own route for it. The token stands behind `#`, which browsers send to no server. */
const invitationUrl = (origin: string, token: string): string => `${origin}/join#token=${encodeURIComponent(token)}`

/** Makes a token that lets whoever holds it join. */
export async function inviteToSession(
  ctx: Context,
  { sessionId, ...input }: InviteToSessionInput,
): Promise<{ token: string; url: string; expiresAt: Date }> {
  const startedAt = performance.now()
  const viewer = requireViewer(ctx)
  const { session } = await requireSession(ctx, sessionId, 'inviteToSession')
  const { role, expiresInSeconds, maxUses } = parse(inviteSchema, input)
  const token = randomBytes(32).toString('base64url')
  const createdAt = new Date()
  const expiresAt = new Date(createdAt.getTime() + (expiresInSeconds ?? weekSeconds) * 1000)
  const id = randomUUIDv7()
  await ctx.storage.transaction(async (tx) => {
    const { lastSeq } = await lockSession(tx, ctx, session.id)
    await requireStill(tx, viewer.id, session.id, 'inviteToSession')
    await insert(tx, 'invitations', {
      id,
      sessionId: session.id,
      createdById: viewer.id,
      tokenHash: hashInvitation(token),
      role,
      expiresAt,
      maxUses: maxUses ?? null,
      uses: 0,
      createdAt,
      seq: lastSeq,
    })
    await audit(tx, ctx, { action: 'inviteToSession', sessionId: session.id, subjectId: id, startedAt })
  })
  return { token, url: invitationUrl(ctx.origin, token), expiresAt }
}
