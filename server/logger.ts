import type { Config } from './config.ts'

const levels = ['debug', 'info', 'warn', 'error', 'silent'] as const
type Level = Exclude<(typeof levels)[number], 'silent'>

/** One JSON object a line. Never the text of a message, never a token. */
export type Logger = Record<Level, (message: string, fields?: Record<string, unknown>) => void>

const printable = (value: unknown): unknown =>
  value instanceof Error ? { name: value.name, message: value.message, stack: value.stack } : value

export function createLogger(
  config: Config,
  write: (line: string) => void = (line) => process.stderr.write(line),
): Logger {
  const threshold = levels.indexOf(config.logLevel)
  const at =
    (level: Level) =>
    (message: string, fields: Record<string, unknown> = {}): void => {
      if (levels.indexOf(level) < threshold) return
      const rest = Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, printable(value)]))
      write(`${JSON.stringify({ time: new Date().toISOString(), level, message, ...rest })}\n`)
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
