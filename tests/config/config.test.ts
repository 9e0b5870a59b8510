import { describe, expect, test } from 'vitest'
import { readConfig } from '../../server/config/config.ts'
import { ConfigError } from '../../server/config/configError.ts'

/** What the start says to a setting. */
function refusalOf(env: Record<string, string>): string {
  try {
    readConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return 'It is taken.'
}

describe('a wrong setting stops the start with one line that says what it was and what it may be', () => {
  const aModel = '<provider>/<model>, the provider being local, openrouter or demo'
  const anOrigin = 'origins like https://chat.example.org, in lower case and without a path, separated by commas'
  const aNodeEnv = 'one of production, development, test'
  test.each([
    ['DEFAULT_MODEL', 'llama3', aModel],
    ['DEFAULT_MODEL', 'ollama/llama3', aModel],
    ['DEFAULT_MODEL', 'local/', aModel],
    ['FALLBACK_MODELS', 'local/a,llama3', `models as ${aModel}, separated by commas`],
    ['FALLBACK_MODELS', 'nobody/a', `models as ${aModel}, separated by commas`],
    ['ALLOWED_ORIGINS', 'chat.example.org', anOrigin],
    ['ALLOWED_ORIGINS', 'https://chat.example.org/', anOrigin],
    ['ALLOWED_ORIGINS', 'https://chat.example.org,https://Chat.example.org', anOrigin],
    ['ALLOWED_ORIGINS', 'https://chat.example.org:443', anOrigin],
    ['ALLOWED_ORIGINS', '*', anOrigin],
    ['ALLOWED_ORIGINS', 'null', anOrigin],
    ['NODE_ENV', 'prod', aNodeEnv],
    ['NODE_ENV', 'Production', aNodeEnv],
    ['ADMIN_SUBJECTS', ',', 'subjects, separated by commas'],
  ])('%s=%s', (name, value, may) => {
    expect(refusalOf({ [name]: value })).toBe(`${name} is "${value}", but must be ${may}.`)
  })

  test('LEASE_RENEW_MS that leaves no room for a renewal that is late once', () => {
    const refusal = (renew: string, lease: string) =>
      `LEASE_RENEW_MS is "${renew}", but must be at most half of LEASE_MS, which is ${lease}.`
    expect(refusalOf({ LEASE_RENEW_MS: '15000' })).toBe(refusal('15000', '15000'))
    expect(refusalOf({ LEASE_RENEW_MS: '1001', LEASE_MS: '2000' })).toBe(refusal('1001', '2000'))
    expect(refusalOf({ LEASE_MS: '2000' })).toBe(refusal('3000', '2000'))
    expect(readConfig({ LEASE_RENEW_MS: '1000', LEASE_MS: '2000' })).toMatchObject({ leaseRenewMs: 1000 })
  })

  test('DEFAULT_MODEL of OpenRouter while there is no key for it', () => {
    expect(refusalOf({ DEFAULT_MODEL: 'openrouter/a/b' })).toBe(
      'DEFAULT_MODEL is "openrouter/a/b", but must be of another provider while OPENROUTER_API_KEY is not set.',
    )
    expect(readConfig({ DEFAULT_MODEL: 'openrouter/a/b', OPENROUTER_API_KEY: 'sk' }).defaultModel).toBe(
      'openrouter/a/b',
    )
  })
})

test('lists are taken with blanks around their entries, and empty ones are none', () => {
  expect(
    readConfig({
      FALLBACK_MODELS: 'local/llama3.2:3b, openrouter/org/model:free',
      ALLOWED_ORIGINS: 'https://chat.example.org:8443 ,http://localhost:5173,capacitor://localhost',
      ADMIN_SUBJECTS: 'auth0|17, ada@example.org',
      NODE_ENV: 'development',
    }),
  ).toMatchObject({
    fallbackModels: ['local/llama3.2:3b', 'openrouter/org/model:free'],
    allowedOrigins: ['https://chat.example.org:8443', 'http://localhost:5173', 'capacitor://localhost'],
    adminSubjects: ['auth0|17', 'ada@example.org'],
    nodeEnv: 'development',
  })
  expect(readConfig({ FALLBACK_MODELS: '', ALLOWED_ORIGINS: '', ADMIN_SUBJECTS: '' })).toMatchObject({
    fallbackModels: [],
    allowedOrigins: [],
    adminSubjects: [],
  })
})
