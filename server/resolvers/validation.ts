import { z } from 'zod'
import type { Config } from '../config/config.ts'
import { InvalidInputError } from '../errors.ts'
import { isUuid } from '../guards/uuid.ts'

export { isUuid }

/** Whether a string can be stored and read back byte for byte: no lone surrogates, no NUL. */
export const isStorable = (value: string): boolean => value.isWellFormed() && !value.includes('\0')

/** Characters as people count them, near enough: code points. */
export const characters = (value: string): number => [...value].length

/**
 * Checks an input.
 * @throws InvalidInputError with the path of each offending field and what it may be
 */
export function parse<T>(schema: z.ZodType<T>, input: unknown): T {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  throw new InvalidInputError(result.error.issues.map(({ path, message }) => ({ path: path.map(String), message })))
}

const storable = 'Must not contain NUL characters or halves of surrogate pairs.'

export const text = (min: number, max: number, what = `Must have ${min} to ${max.toLocaleString('en')} characters.`) =>
  z
    .string()
    .refine((value) => value.length >= min && (value.length <= max || characters(value) <= max), what)
    .refine(isStorable, storable)

/** Text that must not be blank. */
export const writtenText = (max: number) => {
  const what = `Must have 1 to ${max.toLocaleString('en')} characters and not be blank.`
  return text(1, max, what).refine((value) => value === '' || value.trim() !== '', what)
}

type Settings = Pick<Config, 'maxMessageCharacters' | 'maxTitleCharacters' | 'maxMetadataBytes'>

/** Makes a schema by a server's settings, once: making one costs more than a check by it. */
export function bySettings<T>(make: (settings: Settings) => T): (settings: Settings) => T {
  const made = new WeakMap<Settings, { schema: T }>()
  return (settings) => {
    let known = made.get(settings)
    if (!known) made.set(settings, (known = { schema: make(settings) }))
    return known.schema
  }
}

/** A UUID made by a client, in lower case. */
export const clientId = z
  .string()
  .refine(isUuid, 'Must be a UUID, e.g. from crypto.randomUUID().')
  .transform((value) => value.toLowerCase())

export const modelSchema = text(1, 200)

const number = (what: string, isIn: (value: number) => boolean) => z.number(what).refine(isIn, what)

export const settingsSchema = z.object({
  systemPrompt: text(0, 32_000).nullish(),
  temperature: number('Must be from 0 to 2.', (value) => value >= 0 && value <= 2).nullish(),
  topP: number('Must be above 0 and at most 1.', (value) => value > 0 && value <= 1).nullish(),
  maxTokens: number('Must be from 1 to 1,000,000.', (value) => value >= 1 && value <= 1_000_000).nullish(),
  tools: z.array(text(1, 64)).max(64, 'Must have at most 64 names.').nullish(),
})
export type SettingsInput = z.infer<typeof settingsSchema>

const maxMetadataLevels = 100

/** Any plain JSON object of at most so many bytes, 100 levels deep. */
export const metadataSchema = (maxBytes: number) =>
  z.unknown().transform((value, ctx): Record<string, unknown> => {
    const fault = metadataFault(value, maxBytes)
    if (fault) ctx.addIssue({ code: 'custom', message: fault })
    return value as Record<string, unknown>
  })

function metadataFault(value: unknown, maxBytes: number): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'Must be a JSON object.'
  let json: string
  let areFinite = true
  try {
    json = JSON.stringify(value, (_key, item: unknown) => {
      // 1e400 is read as infinity, which would be kept as null
      if (typeof item === 'number' && !Number.isFinite(item)) areFinite = false
      return item
    })
  } catch {
    return `Must be at most ${maxMetadataLevels} levels deep.`
  }
  if (Buffer.byteLength(json) > maxBytes) return `Must be at most ${inBytes(maxBytes)} as JSON.`
  // JSON.stringify escapes both; an even number of backslashes before the escape are text
  if (/(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/.test(json)) return storable
  if (!areFinite) return 'Must not contain numbers beyond those of double precision.'
  if (levels(json) > maxMetadataLevels) return `Must be at most ${maxMetadataLevels} levels deep.`
  return undefined
}

const inBytes = (bytes: number): string => (bytes % 1024 === 0 ? `${bytes / 1024} KiB` : `${bytes} bytes`)

function levels(json: string): number {
  let deepest = 0
  let depth = 0
  for (const character of json.replace(/"(?:[^"\\]|\\.)*"/g, '')) {
    if (character === '{' || character === '[') deepest = Math.max(deepest, ++depth)
    else if (character === '}' || character === ']') depth--
  }
  return deepest
}
