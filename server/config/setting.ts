/** One environment variable, and what becomes of its text. */
export interface Setting<T> {
  name: string
  /** As it would be written in the environment; undefined where there is none. */
  default: string | undefined
  meaning: string
  /** @throws ConfigError that says what the value may be */
  parse: (value: string) => T
}

export const setting = <T>(
  name: string,
  fallback: string,
  meaning: string,
  parse: (value: string) => T,
): Setting<T> => ({
  name,
  default: fallback,
  meaning,
  parse,
})

export const optional = <T>(name: string, meaning: string, parse: (value: string) => T): Setting<T | undefined> => ({
  name,
  default: undefined,
  meaning,
  parse,
})
