import { resolve } from 'node:path'
import { ConfigError } from './configError.ts'
import type { Setting } from './setting.ts'
import { settings } from './settings.ts'

type Settings = typeof settings

export type Config = { [K in keyof Settings]: ReturnType<Settings[K]['parse']> }

/**
 * Reads every setting from the environment; an empty one counts as not set.
 * @throws ConfigError with one line that names the setting, what it was and what it may be
 */
export function readConfig(env: Record<string, string | undefined> = process.env): Config {
  const config: Record<string, unknown> = {}
  for (const [key, setting] of Object.entries<Setting<unknown>>(settings)) {
    const value = env[setting.name] || setting.default
    if (value !== undefined) config[key] = parsed(setting, value)
  }
  const all = config as Config
  // who raises the one would hit the other at once: an address has several users
  if (!env.RATE_LIMIT_PER_MINUTE_PER_ADDRESS)
    all.rateLimitPerMinutePerAddress = Math.max(all.rateLimitPerMinutePerAddress, 5 * all.rateLimitPerMinute)
  checkTogether(all)
  return all
}

/** What one setting may be in the light of another. */
function checkTogether({ leaseMs, leaseRenewMs, defaultModel, openrouterApiKey }: Config): void {
  // a renewal that is late once must not cost the generations
  if (leaseRenewMs > leaseMs / 2)
    throw new ConfigError(
      `LEASE_RENEW_MS is "${leaseRenewMs}", but must be at most half of LEASE_MS, which is ${leaseMs}.`,
    )
  if (defaultModel?.startsWith('openrouter/') && !openrouterApiKey)
    throw new ConfigError(
      `DEFAULT_MODEL is ${JSON.stringify(defaultModel)}, but must be of another provider while OPENROUTER_API_KEY is not set.`,
    )
}

function parsed({ name, parse }: Setting<unknown>, value: string): unknown {
  try {
    return parse(value)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const was = /SECRET|KEY|_TOKEN$/.test(name) ? '' : ` is ${JSON.stringify(withoutPassword(value))}, but`
    throw new ConfigError(`${name}${was} must be ${error.message}.`)
  }
}

/** What `npm start -- --help` prints. */
export function describeSettings(): string {
  const all = Object.values<Setting<unknown>>(settings)
  const width = Math.max(...all.map(({ name }) => name.length))
  return all
    .map(
      ({ name, default: fallback, meaning }) => `  ${name.padEnd(width)}  ${meaning} (default: ${fallback || 'none'})`,
    )
    .join('\n')
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
