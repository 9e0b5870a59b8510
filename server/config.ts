import { resolve } from 'node:path'

/** A wrong setting: its message is the one line that the operator sees. */
export class ConfigError extends Error {}

interface Setting<T> {
  name: string
  /** As it would be written in the environment; undefined where there is none. */
  default?: string
  meaning: string
  parse: (value: string) => T
}

const setting = <T>(name: string, fallback: string | undefined, meaning: string, parse: (value: string) => T) =>
  ({ name, default: fallback, meaning, parse }) satisfies Setting<T> as Setting<T>

function fail(may: string): never {
  throw new ConfigError(may)
}

const text = (value: string) => value

const integer =
  (min: number, max: number) =>
  (value: string): number =>
    /^\d+$/.test(value) && Number(value) >= min && Number(value) <= max
      ? Number(value)
      : fail(`a whole number from ${min} to ${max}`)

const oneOf =
  <T extends string>(...allowed: T[]) =>
  (value: string): T =>
    allowed.find((one) => one === value) ?? fail(`one of ${allowed.join(', ')}`)

const url =
  (...protocols: string[]) =>
  (value: string): string =>
    URL.canParse(value) && protocols.includes(new URL(value).protocol)
      ? value.replace(/\/+$/, '')
      : fail(`a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`)

const list = (value: string): string[] =>
  value
    .split(',')
    .map((entry) => entry.trim())
    .filter(Boolean)

const database = (value: string): string =>
  /^sqlite:.+/.test(value) || /^postgres(ql)?:\/\/.+/.test(value)
    ? value
    : fail('sqlite:<path> or postgres://<user>@<host>/<database>')

const secret = (value: string): string =>
  Buffer.byteLength(value) >= 32 ? value : fail('at least 32 bytes (it is not shown)')

const metricsToken = (value: string): string =>
  /^[\x21-\x7e]{16,}$/.test(value) ? value : fail('at least 16 visible ASCII characters (it is not shown)')

const settings = {
  host: setting('HOST', '127.0.0.1', 'address to listen on', text),
  port: setting('PORT', '4000', 'port to listen on; 0 takes a free one and prints it', integer(0, 65_535)),
  databaseUrl: setting('DATABASE_URL', 'sqlite:./data/parley.db', 'sqlite:<path> or postgres://…', database),
  databaseTimeoutMs: setting(
    'DATABASE_TIMEOUT_MS',
    '15000',
    'milliseconds that PostgreSQL may take to answer; 0 for no limit',
    integer(0, 3_600_000),
  ),
  redisUrl: setting('REDIS_URL', undefined, 'needed for more than one node', url('redis:', 'rediss:')),
  auth: setting(
    'AUTH',
    'guest',
    'guest: anyone may make an account; jwt: only tokens from outside',
    oneOf('guest', 'jwt'),
  ),
  authSecret: setting(
    'AUTH_SECRET',
    undefined,
    'HS256 secret, at least 32 bytes; made once and kept with the data',
    secret,
  ),
  authJwksUrl: setting('AUTH_JWKS_URL', undefined, "keys of an identity provider's tokens", url('http:', 'https:')),
  authIssuer: setting('AUTH_ISSUER', undefined, 'the only issuer (iss) to accept', text),
  authAudience: setting('AUTH_AUDIENCE', undefined, 'the audience (aud) that tokens must name', text),
  authClockSkewSeconds: setting(
    'AUTH_CLOCK_SKEW_SECONDS',
    '1',
    "seconds that the clock of who signs tokens may differ from ours; added to a token's life at both ends",
    integer(0, 600),
  ),
  authJwksMaxAgeSeconds: setting(
    'AUTH_JWKS_MAX_AGE_SECONDS',
    '300',
    "seconds after which an identity provider's keys are fetched again, and those that it withdrew stop working",
    integer(1, 86_400),
  ),
  authJwksCooldownSeconds: setting(
    'AUTH_JWKS_COOLDOWN_SECONDS',
    '5',
    'seconds between two fetches of those keys for tokens that name an unknown one',
    integer(0, 3_600),
  ),
  adminSubjects: setting(
    'ADMIN_SUBJECTS',
    '',
    'subjects (sub) of the tokens of admins, separated by commas; of a guest it is their user id',
    list,
  ),
  maxApiKeysPerUser: setting('MAX_API_KEYS_PER_USER', '50', 'API keys at once, a user', integer(0, 100_000)),
  localBaseUrl: setting(
    'LOCAL_BASE_URL',
    'http://127.0.0.1:11434/v1',
    'Ollama, llama.cpp, vLLM, LM Studio',
    url('http:', 'https:'),
  ),
  localApiKey: setting('LOCAL_API_KEY', undefined, 'key for it, where it wants one', text),
  openrouterBaseUrl: setting(
    'OPENROUTER_BASE_URL',
    'https://openrouter.ai/api/v1',
    "OpenRouter's API",
    url('http:', 'https:'),
  ),
  openrouterApiKey: setting('OPENROUTER_API_KEY', undefined, 'turns OpenRouter on', text),
  defaultModel: setting(
    'DEFAULT_MODEL',
    undefined,
    'provider/model; else the first that answers: local, openrouter, demo',
    text,
  ),
  fallbackModels: setting(
    'FALLBACK_MODELS',
    '',
    'provider/model,…: tried in turn when a model fails before its first token',
    list,
  ),
  contextWindow: setting(
    'CONTEXT_WINDOW',
    '32768',
    'tokens, for models whose window is unknown',
    integer(256, 100_000_000),
  ),
  rateLimitPerMinute: setting('RATE_LIMIT_PER_MINUTE', '20', 'messages a user', integer(1, 1_000_000)),
  rateLimitPerMinutePerAddress: setting(
    'RATE_LIMIT_PER_MINUTE_PER_ADDRESS',
    '100',
    'messages and sign-ins an address; where not set, at least five times RATE_LIMIT_PER_MINUTE',
    integer(1, 1_000_000),
  ),
  mutationsPerMinute: setting(
    'MUTATIONS_PER_MINUTE',
    '600',
    'changes a user beside messages and typing; never fewer than RATE_LIMIT_PER_MINUTE',
    integer(1, 1_000_000),
  ),
  wrongTokensPerMinutePerAddress: setting(
    'WRONG_TOKENS_PER_MINUTE_PER_ADDRESS',
    '600',
    'tokens that are not valid, an address; past it no token from there is looked at',
    integer(1, 1_000_000),
  ),
  maxConcurrentGenerations: setting(
    'MAX_CONCURRENT_GENERATIONS',
    '3',
    'generations at once, a user',
    integer(1, 100_000),
  ),
  maxMessageCharacters: setting('MAX_MESSAGE_CHARACTERS', '32000', 'characters in a message', integer(1, 10_000_000)),
  maxTitleCharacters: setting('MAX_TITLE_CHARACTERS', '500', "characters in a session's title", integer(1, 500)),
  maxMetadataBytes: setting(
    'MAX_METADATA_BYTES',
    '16384',
    'bytes of JSON that clients may keep with a session or a message',
    integer(2, 16_777_216),
  ),
  maxQueryDepth: setting('MAX_QUERY_DEPTH', '10', 'levels of fields in an operation', integer(1, 1_000)),
  maxQueryCost: setting(
    'MAX_QUERY_COST',
    '5000',
    'objects that an operation may ask for: entries of lists, and half for each other one',
    integer(1, 1_000_000_000),
  ),
  maxQueryAliases: setting('MAX_QUERY_ALIASES', '15', 'aliases in an operation', integer(0, 1_000_000)),
  maxQueryDirectives: setting('MAX_QUERY_DIRECTIVES', '5', 'directives in an operation', integer(0, 1_000_000)),
  maxQueryRepeats: setting(
    'MAX_QUERY_REPEATS',
    '50',
    'times that a selection may name the same field',
    integer(1, 1_000_000),
  ),
  maxQueryTokens: setting('MAX_QUERY_TOKENS', '1000', 'lexical tokens in an operation', integer(10, 1_000_000)),
  maxQueryCharacters: setting('MAX_QUERY_CHARACTERS', '15000', 'characters in an operation', integer(100, 10_000_000)),
  maxBodyBytes: setting('MAX_BODY_BYTES', '1048576', 'bytes in an HTTP body', integer(1_024, 1_073_741_824)),
  maxFrameBytes: setting(
    'MAX_FRAME_BYTES',
    '65536',
    'bytes in a WebSocket frame from a client',
    integer(1_024, 1_073_741_824),
  ),
  maxSubscriptionsPerSocket: setting(
    'MAX_SUBSCRIPTIONS_PER_SOCKET',
    '50',
    'subscriptions at once, a socket',
    integer(1, 100_000),
  ),
  maxSocketsPerUser: setting('MAX_SOCKETS_PER_USER', '20', 'sockets at once, a user', integer(1, 100_000)),
  maxAnonymousSocketsPerAddress: setting(
    'MAX_ANONYMOUS_SOCKETS_PER_ADDRESS',
    '100',
    'sockets at once that have no token, an address',
    integer(1, 100_000),
  ),
  maxEventStreamsPerUser: setting(
    'MAX_EVENT_STREAMS_PER_USER',
    '20',
    'event streams at once, a user',
    integer(1, 100_000),
  ),
  maxSocketBufferBytes: setting(
    'MAX_SOCKET_BUFFER_BYTES',
    '262144',
    'unsent bytes past which a socket is skipped until it drains',
    integer(65_536, 1_073_741_824),
  ),
  stuckSocketTimeoutMs: setting(
    'STUCK_SOCKET_TIMEOUT_MS',
    '30000',
    'milliseconds after which a socket or event stream that takes nothing is closed',
    integer(100, 86_400_000),
  ),
  connectionInitTimeoutMs: setting(
    'CONNECTION_INIT_TIMEOUT_MS',
    '3000',
    'milliseconds a socket has for connection_init',
    integer(100, 600_000),
  ),
  pingIntervalMs: setting('PING_INTERVAL_MS', '12000', 'milliseconds between WebSocket pings', integer(100, 600_000)),
  allowedOrigins: setting(
    'ALLOWED_ORIGINS',
    '',
    'origins beside our own host whose pages may open a WebSocket and use the cookie, separated by commas',
    list,
  ),
  trustProxy: setting(
    'TRUST_PROXY',
    '0',
    'proxies of ours in front, one after the other, whose X-Forwarded-For and X-Forwarded-Proto are believed',
    integer(0, 20),
  ),
  deltaFlushMs: setting(
    'DELTA_FLUSH_MS',
    '10',
    'milliseconds that deltas may wait to be stored together',
    integer(0, 1_000),
  ),
  providerConnectTimeoutMs: setting(
    'PROVIDER_CONNECT_TIMEOUT_MS',
    '5000',
    'milliseconds to connect to a provider',
    integer(10, 3_600_000),
  ),
  providerFirstTokenTimeoutMs: setting(
    'PROVIDER_FIRST_TOKEN_TIMEOUT_MS',
    '60000',
    'milliseconds to the first token',
    integer(10, 3_600_000),
  ),
  providerSilenceTimeoutMs: setting(
    'PROVIDER_SILENCE_TIMEOUT_MS',
    '30000',
    'milliseconds between tokens',
    integer(10, 3_600_000),
  ),
  providerTotalTimeoutMs: setting(
    'PROVIDER_TOTAL_TIMEOUT_MS',
    '600000',
    'milliseconds for a whole answer',
    integer(10, 86_400_000),
  ),
  providerAttempts: setting(
    'PROVIDER_ATTEMPTS',
    '3',
    'calls before a model is given up, all before its first token',
    integer(1, 100),
  ),
  providerBreakerFailures: setting(
    'PROVIDER_BREAKER_FAILURES',
    '5',
    'failures in a row after which a provider is not asked for a while',
    integer(1, 1_000_000),
  ),
  providerBreakerCooldownMs: setting(
    'PROVIDER_BREAKER_COOLDOWN_MS',
    '30000',
    'milliseconds of that while, before one call may try it again',
    integer(1, 86_400_000),
  ),
  leaseMs: setting(
    'LEASE_MS',
    '15000',
    'milliseconds after which a silent node loses its generations',
    integer(500, 3_600_000),
  ),
  leaseRenewMs: setting('LEASE_RENEW_MS', '3000', 'milliseconds between renewals of a lease', integer(50, 3_600_000)),
  typingTimeoutMs: setting(
    'TYPING_TIMEOUT_MS',
    '5000',
    'milliseconds after which a typist who sends no more has stopped',
    integer(100, 600_000),
  ),
  shutdownTimeoutMs: setting(
    'SHUTDOWN_TIMEOUT_MS',
    '30000',
    'milliseconds that running generations may take after SIGTERM',
    integer(0, 3_600_000),
  ),
  shutdownSpreadMs: setting(
    'SHUTDOWN_SPREAD_MS',
    '3000',
    'milliseconds over which sockets are closed after SIGTERM',
    integer(0, 600_000),
  ),
  getQueries: setting(
    'GET_QUERIES',
    undefined,
    'on or off: queries and event streams by GET too; off by default only in production',
    oneOf('on', 'off'),
  ),
  persistedOnly: setting(
    'PERSISTED_ONLY',
    '0',
    '1: no operations but those of the web client and the client library',
    (value) => oneOf('0', '1')(value) === '1',
  ),
  graphiql: setting('GRAPHIQL', undefined, 'on or off; off by default only in production', oneOf('on', 'off')),
  nodeEnv: setting('NODE_ENV', undefined, 'production: introspection and GraphiQL off for the anonymous', text),
  auditRetentionDays: setting(
    'AUDIT_RETENTION_DAYS',
    '365',
    'days that the audit log is kept; 0 for ever',
    integer(0, 36_500),
  ),
  auditRefusalsPerMinute: setting(
    'AUDIT_REFUSALS_PER_MINUTE',
    '100',
    'entries of the audit log that one address may cause by being refused; the rest is only counted',
    integer(1, 1_000_000),
  ),
  slowOperationMs: setting(
    'SLOW_OPERATION_MS',
    '1000',
    'milliseconds from which an operation is logged as slow',
    integer(1, 3_600_000),
  ),
  metricsToken: setting(
    'METRICS_TOKEN',
    undefined,
    'lets whoever sends it as Bearer read /metrics, which is open to this machine alone otherwise',
    metricsToken,
  ),
  logLevel: setting(
    'LOG_LEVEL',
    'info',
    'debug, info, warn, error or silent; one JSON object a line',
    oneOf('debug', 'info', 'warn', 'error', 'silent'),
  ),
}

type Settings = typeof settings
type Optional<K extends keyof Settings> = K extends
  | 'redisUrl'
  | 'authSecret'
  | 'authJwksUrl'
  | 'authIssuer'
  | 'authAudience'
  | 'localApiKey'
  | 'openrouterApiKey'
  | 'defaultModel'
  | 'getQueries'
  | 'graphiql'
  | 'metricsToken'
  | 'nodeEnv'
  ? undefined
  : never

export type Config = { [K in keyof Settings]: ReturnType<Settings[K]['parse']> | Optional<K> }

/**
 * Reads every setting from the environment; an empty one counts as not set.
 * @throws ConfigError with one line that names the setting, what it was and what it may be
 */
export function readConfig(env: Record<string, string | undefined> = process.env): Config {
  const config: Record<string, unknown> = {}
  for (const [key, { name, default: fallback, parse }] of Object.entries<Setting<unknown>>(settings)) {
    const value = env[name] || fallback
    if (value === undefined) continue
    try {
      config[key] = parse(value)
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      const was = /SECRET|KEY|_TOKEN$/.test(name) ? '' : ` is ${JSON.stringify(withoutPassword(value))}, but`
      throw new ConfigError(`${name}${was} must be ${error.message}.`)
    }
  }
  const all = config as Config
  // who raises the one would hit the other at once: an address has several users
  if (!env.RATE_LIMIT_PER_MINUTE_PER_ADDRESS)
    all.rateLimitPerMinutePerAddress = Math.max(all.rateLimitPerMinutePerAddress, 5 * all.rateLimitPerMinute)
  return all
}

export const isProduction = ({ nodeEnv }: Pick<Config, 'nodeEnv'>): boolean => nodeEnv === 'production'

/** A URL as it may be shown. */
export const withoutPassword = (url: string): string => url.replace(/\/\/[^@/]*@/, '//')

/** The folder of the SQLite file and of the secret; with PostgreSQL `./data`. */
export function dataFolder(config: Config): string {
  return config.databaseUrl.startsWith('sqlite:')
    ? resolve(config.databaseUrl.slice('sqlite:'.length), '..')
    : resolve('data')
}

/** What `npm start -- --help` prints. */
export function describeSettings(): string {
  const width = Math.max(...Object.values(settings).map(({ name }) => name.length))
  return Object.values<Setting<unknown>>(settings)
    .map(
      ({ name, default: fallback, meaning }) => `  ${name.padEnd(width)}  ${meaning} (default: ${fallback || 'none'})`,
    )
    .join('\n')
}
