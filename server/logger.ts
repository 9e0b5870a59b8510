import { pino } from 'pino'
import type { Config } from './config/config.ts'

const levels = ['debug', 'info', 'warn', 'error'] as const
type Level = (typeof levels)[number]
type Fields = Record<string, unknown>

/** One JSON object a line. Never the text of a message, never a token. */
export type Logger = Record<Level, (message: string, fields?: Fields) => void>

// what nobody means to log, and what a field of a wider object would bring along
const hidden = ['authorization', 'cookie', 'token', 'password', 'secret', 'apiKey']
const paths = hidden.flatMap((name) => [name, `*.${name}`, `*.*.${name}`])

const printable = (value: unknown): unknown =>
  value instanceof Error ? { name: value.name, message: value.message, stack: value.stack } : value

export function createLogger(
  config: Pick<Config, 'logLevel'>,
  write: (line: string) => void = (line) => process.stderr.write(line),
): Logger {
  const lines = pino(
    {
      level: config.logLevel,
      base: null,
      messageKey: 'message',
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (level) => ({ level }) },
      serializers: { error: printable },
      redact: { paths, censor: '***' },
    },
    { write },
  )
  const at =
    (level: Level) =>
    (message: string, fields: Fields = {}): void =>
      lines[level](fields, message)
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** The same log with these fields in each line, e.g. the id of a request. */
export function childLogger(logger: Logger, fields: Fields): Logger {
  return new ChildLogger(logger, fields)
}

/** A class, since one is made for each request. */
class ChildLogger implements Logger {
  readonly #logger: Logger
  readonly #fields: Fields

  constructor(logger: Logger, fields: Fields) {
    this.#logger = logger
    this.#fields = fields
  }

  debug(message: string, fields?: Fields): void {
    this.#logger.debug(message, { ...this.#fields, ...fields })
  }

  info(message: string, fields?: Fields): void {
    this.#logger.info(message, { ...this.#fields, ...fields })
  }

  warn(message: string, fields?: Fields): void {
    this.#logger.warn(message, { ...this.#fields, ...fields })
  }

  error(message: string, fields?: Fields): void {
    this.#logger.error(message, { ...this.#fields, ...fields })
  }
}
