import { ConfigError } from './configError.ts'

/** @param may what the value may be, as it ends the sentence "… must be …" */
function fail(may: string): never {
  throw new ConfigError(may)
}

export const text = (value: string): string => value

export const integer =
  (min: number, max: number) =>
  (value: string): number =>
    /^\d+$/.test(value) && Number(value) >= min && Number(value) <= max
      ? Number(value)
      : fail(`a whole number from ${min} to ${max}`)

export const oneOf =
  <T extends string>(...allowed: T[]) =>
  (value: string): T =>
    allowed.find((one) => one === value) ?? fail(`one of ${allowed.join(', ')}`)

export const flag = (value: string): boolean => oneOf('0', '1')(value) === '1'

export const list = (value: string): string[] =>
  value
    .split(',')
    .map((entry) => entry.trim())
    .filter(Boolean)

export const url =
  (...protocols: string[]) =>
  (value: string): string =>
    URL.canParse(value) && protocols.includes(new URL(value).protocol)
      ? value.replace(/\/+$/, '')
      : fail(`a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`)

export const database = (value: string): string =>
  /^sqlite:.+/.test(value) || /^postgres(ql)?:\/\/.+/.test(value)
    ? value
    : fail('sqlite:<path> or postgres://<user>@<host>/<database>')

export const secret = (value: string): string =>
  Buffer.byteLength(value) >= 32 ? value : fail('at least 32 bytes (it is not shown)')

export const metricsToken = (value: string): string =>
  /^[\x21-\x7e]{16,}$/.test(value) ? value : fail('at least 16 visible ASCII characters (it is not shown)')
