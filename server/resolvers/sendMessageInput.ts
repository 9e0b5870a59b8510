import { randomUUIDv7 } from 'node:crypto'
import { z } from 'zod'
import { NotFoundError } from '../errors.ts'
import { isUuid } from '../guards/uuid.ts'
import {
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

const makeSchema = (maxCharacters: number) =>
  z.object({
    content: writtenText(maxCharacters),
    id: clientId.nullish(),
    model: modelSchema.nullish(),
    settings: settingsSchema.nullish(),
    metadata: metadataSchema.optional(),
  })

/** Making a schema costs more than a check by it. */
const schemas = new Map<number, ReturnType<typeof makeSchema>>()

/**
 * Checks what a client wants to send.
 * @throws InvalidInputError, or NotFoundError where `parentId` can be nobody's
 */
export function parseSendMessage(input: SendMessageInput, maxCharacters: number): SendMessage {
  let schema = schemas.get(maxCharacters)
  if (!schema) schemas.set(maxCharacters, (schema = makeSchema(maxCharacters)))
  const { content, id, model, settings, metadata } = parse(schema, {
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
