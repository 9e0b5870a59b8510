import { randomUUIDv7 } from 'node:crypto'
import { z } from 'zod'
import { NotFoundError } from '../errors.ts'
import { isUuid } from '../guards/uuid.ts'
import {
  bySettings,
  clientId,
  metadataSchema,
  modelSchema,
  parse,
  settingsSchema,
  writtenText,
  type SettingsInput,
} from './validation.ts'

export interface SendMessageInput {
  sessionId: string
  content: string
  id?: string | null
  parentId?: string | null
  respond?: boolean | null
  model?: string | null
  settings?: SettingsInput | null
  metadata?: unknown
}

/** A checked input: ids in lower case, one made where the client made none, defaults filled in. */
export interface SendMessage {
  sessionId: string
  content: string
  id: string
  isIdGiven: boolean
  parentId: string | null
  respond: boolean
  model: string | null
  settings: SettingsInput | null
  metadata: Record<string, unknown>
}

const sendSchema = bySettings(({ maxMessageCharacters, maxMetadataBytes }) =>
  z.object({
    content: writtenText(maxMessageCharacters),
    id: clientId.nullish(),
    model: modelSchema.nullish(),
    settings: settingsSchema.nullish(),
    metadata: metadataSchema(maxMetadataBytes).optional(),
  }),
)

/**
 * Checks what a client wants to send.
 * @throws InvalidInputError, or NotFoundError where `parentId` can be nobody's
 */
export function parseSendMessage(input: SendMessageInput, limits: Parameters<typeof sendSchema>[0]): SendMessage {
  const { content, id, model, settings, metadata } = parse(sendSchema(limits), {
    ...input,
    metadata: input.metadata ?? {},
  })
  if (input.parentId != null && !isUuid(input.parentId))
    throw new NotFoundError('There is no message with the id in parentId in this session.')
  return {
    sessionId: input.sessionId.toLowerCase(),
    content,
    id: id ?? randomUUIDv7(),
    isIdGiven: id != null,
    parentId: input.parentId?.toLowerCase() ?? null,
    respond: input.respond ?? true,
    model: model ?? null,
    settings: settings ?? null,
    metadata: metadata ?? {},
  }
}
