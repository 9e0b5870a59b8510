import type { Config } from '../config/config.ts'
import type { Context } from '../context.ts'
import { ProviderError } from '../providers/provider.ts'
import type { ModelEntry } from '../providers/registry.ts'

export interface ServerLimits {
  messageCharacters: number
  titleCharacters: number
  metadataBytes: number
  messagesPerMinute: number
  generationsAtOnce: number
  /** Null where no files are taken. */
  fileBytes: number | null
}

export interface Server {
  version: string
  auth: Config['auth']
  features: string[]
  limits: ServerLimits
}

/** What a client needs to know before anyone signs in. */
export const server = ({ config, version }: Context): Server => ({
  version,
  auth: config.auth,
  features: featuresOf(config),
  limits: {
    messageCharacters: config.maxMessageCharacters,
    titleCharacters: config.maxTitleCharacters,
    metadataBytes: config.maxMetadataBytes,
    messagesPerMinute: config.rateLimitPerMinute,
    generationsAtOnce: config.maxConcurrentGenerations,
    fileBytes: null,
  },
})

/** Null while no provider answers. */
export async function defaultModel({ providers }: Context): Promise<ModelEntry | null> {
  try {
    return providers.find(await providers.defaultModel())
  } catch (error) {
    if (error instanceof ProviderError) return null
    throw error
  }
}

/** Names are a promise: a client may ask for one. */
const featuresOf = ({ maxApiKeysPerUser }: Config): string[] => [
  ...['auditLog', 'invitations', 'presence', 'typing'],
  ...(maxApiKeysPerUser > 0 ? ['apiKeys'] : []),
]
