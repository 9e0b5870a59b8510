import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readConfig } from '../../server/config/config.ts'
import { createProviders, type Providers, type ProvidersParts } from '../../server/providers/registry.ts'
import { startFakeModelServer, text, type FakeModelServer } from '../support/fakeModelServer.ts'
import { manualClock, type ManualClock } from '../support/manualClock.ts'

let server: FakeModelServer
let providers: Providers | undefined

beforeEach(async () => {
  server = await startFakeModelServer({
    models: [{ id: 'nomic-embed-text' }, { id: 'llama3.2:3b', context_length: 4096 }, { id: 'org/model:free' }],
  })
})

afterEach(async () => {
  await providers?.close()
  providers = undefined
  await server.stop()
})

function create(env: Record<string, string> = {}, parts: ProvidersParts = {}): Providers {
  providers = createProviders(readConfig({ LOCAL_BASE_URL: server.url, PROVIDER_ATTEMPTS: '1', ...env }), parts)
  return providers
}

/** A server that is there no more: its port refuses. */
async function deadUrl(): Promise<string> {
  const dead = await startFakeModelServer()
  await dead.stop()
  return dead.url
}

const statusOf = (name: string) => providers!.provider(name).status

describe('providers', () => {
  test('are local and demo, and OpenRouter where it has a key', () => {
    expect(
      create()
        .list()
        .map(({ name }) => name),
    ).toEqual(['local', 'demo'])
    expect(
      create({ OPENROUTER_API_KEY: 'k' })
        .list()
        .map(({ name }) => name),
    ).toEqual(['local', 'openrouter', 'demo'])
  })

  test('are UNKNOWN before they are asked, and then UP or DOWN with the reason', async () => {
    create({ OPENROUTER_API_KEY: 'k', OPENROUTER_BASE_URL: await deadUrl() })
    expect(statusOf('local')).toBe('UNKNOWN')
    await providers!.models()
    expect(providers!.list()).toMatchObject([
      { name: 'local', status: 'UP', error: null },
      { name: 'openrouter', status: 'DOWN', error: expect.stringContaining('does not answer') },
      { name: 'demo', status: 'UP', error: null },
    ])
  })

  test('that are not configured are UNKNOWN: an old message may name them', () => {
    expect(create().provider('openrouter')).toEqual({ name: 'openrouter', status: 'UNKNOWN', error: null })
  })

  test('are DEGRADED while their last call has failed', async () => {
    create()
    await providers!.models()
    server.script({ status: 500 })
    await expect(stream('local/llama3.2:3b')).rejects.toMatchObject({ code: 'PROVIDER_ERROR' })
    expect(statusOf('local')).toBe('DEGRADED')
    await stream('local/llama3.2:3b')
    expect(statusOf('local')).toBe('UP')
  })

  test('are DOWN while they are left alone after five failures', async () => {
    create()
    server.script(() => ({ status: 500 }))
    for (let n = 0; n < 5; n++) await expect(stream('local/llama3.2:3b')).rejects.toThrow('500')
    expect(statusOf('local')).toBe('DOWN')
    await expect(stream('local/llama3.2:3b')).rejects.toMatchObject({ code: 'PROVIDER_UNAVAILABLE' })
    expect(server.requests).toHaveLength(5)
  })
})

describe('models', () => {
  let clock: ManualClock
  beforeEach(() => {
    clock = manualClock()
  })

  test('have ids of provider and name, which may contain slashes and colons', async () => {
    expect(await create().models()).toEqual([
      { id: 'local/nomic-embed-text', name: 'nomic-embed-text', provider: 'local', contextWindow: null },
      { id: 'local/llama3.2:3b', name: 'llama3.2:3b', provider: 'local', contextWindow: 4096 },
      { id: 'local/org/model:free', name: 'org/model:free', provider: 'local', contextWindow: null },
      { id: 'demo/demo', name: 'demo', provider: 'demo', contextWindow: null },
    ])
  })

  test('are asked for once by many at the same time, and kept for a minute', async () => {
    create({}, { clock })
    await Promise.all(Array.from({ length: 20 }, () => providers!.models()))
    await clock.advance(59_000)
    await providers!.models()
    expect(server.modelsReply.asked).toBe(1)
  })

  test('that are older than a minute are returned as they are and refreshed behind', async () => {
    create({}, { clock })
    await providers!.models()
    await clock.advance(61_000)
    server.modelsReply.models = [{ id: 'new' }]
    expect(await providers!.models()).toHaveLength(4)
    await expect.poll(async () => (await providers!.models()).map(({ id }) => id)).toEqual(['local/new', 'demo/demo'])
    expect(server.modelsReply.asked).toBe(2)
  })

  test('of a server that went away stay listed, and the provider is DEGRADED, then DOWN', async () => {
    create({}, { clock })
    await providers!.models()
    await server.stop()
    for (const status of ['DEGRADED', 'DOWN']) {
      await clock.advance(61_000)
      expect(await providers!.models()).toHaveLength(4)
      await expect.poll(() => statusOf('local')).toBe(status)
    }
  })

  test('of the others come within two seconds while one hangs, and later at once', async () => {
    server.modelsReply.hang = true
    create({}, { clock })
    for (const waitMs of [2_000, 200]) {
      let ids: string[] | undefined
      void providers!.models().then((models) => (ids = models.map(({ id }) => id)))
      await clock.advance(waitMs - 1)
      expect(ids).toBeUndefined()
      await clock.advance(1)
      expect(ids).toEqual(['demo/demo'])
    }
    await clock.advance(10_000)
    expect(providers!.provider('local')).toMatchObject({ status: 'DOWN', error: expect.stringContaining('10 s') })
  })

  test('of a server that refuses the connection take no time', async () => {
    create({ LOCAL_BASE_URL: await deadUrl() }, { clock })
    // The clock stands still: only an answer can end the wait.
    expect((await providers!.models()).map(({ id }) => id)).toEqual(['demo/demo'])
  })

  test('of a server that was started a moment ago are found', async () => {
    const port = server.port
    await server.stop()
    create({}, { clock })
    expect(await providers!.models()).toHaveLength(1)
    server = await startFakeModelServer({ port })
    await clock.advance(2_001)
    expect((await providers!.models()).map(({ id }) => id)).toEqual(['local/fake', 'demo/demo'])
  })

  test('are found by id without asking anyone', async () => {
    create()
    const unknown = { id: 'local/llama3.2:3b', name: 'llama3.2:3b', provider: 'local', contextWindow: null }
    expect(providers!.find('local/llama3.2:3b')).toEqual(unknown)
    expect(server.modelsReply.asked).toBe(0)
    await providers!.models()
    expect(providers!.find('local/llama3.2:3b')).toEqual({ ...unknown, contextWindow: 4096 })
    expect(providers!.find('gone/x/y')).toEqual({ id: 'gone/x/y', name: 'x/y', provider: 'gone', contextWindow: null })
  })
})

describe('resolving a model', () => {
  test('gives its provider and name where the list has it', async () => {
    create()
    expect(await providers!.resolve('local/org/model:free')).toMatchObject({
      id: 'local/org/model:free',
      model: 'org/model:free',
      provider: { name: 'local' },
    })
  })

  test.each(['local/nothing', 'nobody/model', 'local', 'local/', '', '/', 'demo/other', '__proto__/x'])(
    'gives nothing for %j',
    async (id) => {
      expect(await create().resolve(id)).toBeUndefined()
    },
  )

  test('accepts any model of a provider that can not be asked', async () => {
    create({ LOCAL_BASE_URL: await deadUrl() })
    expect(await providers!.resolve('local/anything')).toMatchObject({ model: 'anything' })
  })

  test('accepts a model that a list lacks which can not be read anew', async () => {
    const clock = manualClock()
    create({}, { clock })
    await providers!.models()
    await server.stop()
    await clock.advance(6_000)
    expect(await providers!.resolve('local/new')).toMatchObject({ model: 'new' })
  })

  test('finds a model that was pulled after the list was read', async () => {
    const clock = manualClock()
    create({}, { clock })
    await providers!.models()
    server.modelsReply.models = [{ id: 'new' }]
    await clock.advance(6_000)
    expect(await providers!.resolve('local/new')).toMatchObject({ model: 'new' })
    for (let n = 0; n < 5; n++) expect(await providers!.resolve('local/nothing')).toBeUndefined()
    expect(server.modelsReply.asked).toBe(2)
  })
})

describe('the default model', () => {
  test('is the setting', async () => {
    expect(await create({ DEFAULT_MODEL: 'local/x' }).defaultModel()).toBe('local/x')
    expect(server.modelsReply.asked).toBe(0)
  })

  test('is the first of the first that answers, but no embedding model', async () => {
    expect(await create().defaultModel()).toBe('local/llama3.2:3b')
  })

  test('is an embedding model where there is no other', async () => {
    server.modelsReply.models = [{ id: 'nomic-embed-text' }]
    expect(await create().defaultModel()).toBe('local/nomic-embed-text')
  })

  test('is the next provider where local has none or is down', async () => {
    const openrouter = { OPENROUTER_API_KEY: 'k', OPENROUTER_BASE_URL: server.url }
    expect(await create({ LOCAL_BASE_URL: await deadUrl(), ...openrouter }).defaultModel()).toBe(
      'openrouter/llama3.2:3b',
    )
    server.modelsReply.models = []
    expect(await create().defaultModel()).toBe('demo/demo')
  })
})

function stream(modelId: string, onAttempt?: (attempt: number, candidate: { id: string }) => void): Promise<string> {
  let answer = ''
  return providers!
    .stream(
      modelId,
      { messages: [{ role: 'user', content: '/fast /count 3 [[tokens=4]]' }] },
      {
        sink: (part) => void (answer += part.type === 'text' ? part.text : ''),
        signal: new AbortController().signal,
        onAttempt,
      },
    )
    .then(() => answer)
}

describe('streaming', () => {
  test('asks the model of the id', async () => {
    create()
    expect(await stream('local/org/model:free')).toBe(text('seed', 4))
    expect(server.requests[0]!.body.model).toBe('org/model:free')
  })

  test('falls back to the configured models, once each, and tells which answers', async () => {
    create({ FALLBACK_MODELS: 'local/a,openrouter/x,local/b,demo/demo' })
    server.script(() => ({ status: 500 }))
    const attempts: string[] = []
    expect(await stream('local/a', (attempt, { id }) => attempts.push(`${attempt} ${id}`))).toBe('1 2 3')
    expect(attempts).toEqual(['1 local/a', '2 local/b', '3 demo/demo'])
    expect(providers!.candidates('local/a').map(({ id }) => id)).toEqual(['local/a', 'local/b', 'demo/demo'])
  })

  test('holds to the limits of the settings', async () => {
    create({ PROVIDER_FIRST_TOKEN_TIMEOUT_MS: '40' })
    server.script({ hang: true })
    const call = stream('local/a')
    await expect(call).rejects.toMatchObject({ code: 'PROVIDER_TIMEOUT', message: expect.stringContaining('40 ms') })
    expect((await server.waitForClose(0)).wasAborted).toBe(true)
  })

  test('repeats a call as often as the setting says', async () => {
    create({ PROVIDER_ATTEMPTS: '3' }, { random: () => 0 })
    server.script(() => ({ failures: 2 }))
    expect(await stream('local/a')).toBe(text('seed', 4))
    expect(server.requests).toHaveLength(3)
  })

  test.each([
    ['openrouter/x', 'OPENROUTER_API_KEY'],
    ['nobody/x', 'no provider "nobody"'],
  ])('of %s says what is missing', async (id, sentence) => {
    create()
    await expect(stream(id)).rejects.toMatchObject({
      code: 'PROVIDER_UNAVAILABLE',
      message: expect.stringContaining(sentence),
    })
  })
})

test('closing ends a list that is being read', async () => {
  server.modelsReply.hang = true
  create()
  const models = providers!.models()
  await expect.poll(() => server.modelsReply.asked).toBe(1)
  await providers!.close()
  expect((await models).map(({ id }) => id)).toEqual(['demo/demo'])
})
