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

/** Entries separated by commas; an empty text, which is what is not set, has none. */
export const list =
  (entries: string, isOne: (entry: string) => boolean = () => true) =>
  (value: string): string[] => {
    const found = value
      .split(',')
      .map((entry) => entry.trim())
      .filter(Boolean)
    return value === '' || (found.length > 0 && found.every(isOne)) ? found : fail(`${entries}, separated by commas`)
  }

const isModel = (value: string): boolean => /^(?:local|openrouter|demo)\/\S/.test(value)
const likeModels = '<provider>/<model>, the provider being local, openrouter or demo'

export const model = (value: string): string => (isModel(value) ? value : fail(likeModels))
export const models = list(`models as ${likeModels}`, isModel)

/** As a browser writes them, else none would be found to be equal. The pages of apps have schemes of their own. */
const isOrigin = (value: string): boolean =>
  /^https?:/i.test(value)
    ? URL.canParse(value) && new URL(value).origin === value
    : /^[a-z][a-z0-9+.-]*:\/\/[^/?#@\s]+$/.test(value)

export const origins = list('origins like https://chat.example.org, in lower case and without a path', isOrigin)

const isHost = (value: string): boolean =>
  value === '*' || (URL.canParse(`http://${value}`) && new URL(`http://${value}`).host === value)

export const hosts = list('host names like chat.example.org, in lower case and without a port, or *', isHost)

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
