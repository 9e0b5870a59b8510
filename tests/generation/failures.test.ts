import { expect, test } from 'vitest'
import type { Behaviour } from '../support/behaviour.ts'
import { text } from '../support/fakeModelServer.ts'
import { describeOnEach } from '../support/storages.ts'
import { readGeneration, readModels, readTold, readUsage, startModel, startNode, textOf } from './harness.ts'

interface Failure {
  behaviour: Behaviour
  code: string
  /** Tokens that had arrived. */
  kept: number
  calls: number
}

const failures: Record<string, Failure> = {
  'the stream ends without a finish reason': { behaviour: { eof: 5 }, code: 'PROVIDER_ERROR', kept: 5, calls: 1 },
  'the stream ends after nothing at all': { behaviour: { eof: 0 }, code: 'PROVIDER_ERROR', kept: 0, calls: 2 },
  'the connection is reset': { behaviour: { reset: 5, rate: 500 }, code: 'PROVIDER_ERROR', kept: 5, calls: 1 },
  'an error comes inside the stream': { behaviour: { error: 5 }, code: 'PROVIDER_ERROR', kept: 5, calls: 1 },
  'garbage comes inside the stream': { behaviour: { garbage: 5 }, code: 'PROVIDER_ERROR', kept: 5, calls: 1 },
  'the answer is only [DONE]': { behaviour: { empty: true }, code: 'PROVIDER_ERROR', kept: 0, calls: 2 },
  'the provider fails every time': { behaviour: { status: 500 }, code: 'PROVIDER_ERROR', kept: 0, calls: 2 },
  'the provider is overrun every time': {
    behaviour: { status: 429, retryAfter: 0 },
    code: 'PROVIDER_UNAVAILABLE',
    kept: 0,
    calls: 2,
  },
  'the key is wrong': { behaviour: { status: 401 }, code: 'PROVIDER_ERROR', kept: 0, calls: 1 },
  'the stream falls silent': { behaviour: { stall: 5 }, code: 'PROVIDER_TIMEOUT', kept: 5, calls: 1 },
  'no first token comes': { behaviour: { hang: true }, code: 'PROVIDER_TIMEOUT', kept: 0, calls: 2 },
}

const shortLimits = {
  PROVIDER_ATTEMPTS: '2',
  PROVIDER_FIRST_TOKEN_TIMEOUT_MS: '400',
  PROVIDER_SILENCE_TIMEOUT_MS: '400',
}

describeOnEach('a generation fails, once, and keeps what had arrived, where', (database) => {
  test.each(Object.entries(failures))('%s', async (_, { behaviour, code, kept, calls }) => {
    const model = await startModel({ tokens: 20, ...behaviour })
    const node = await startNode(database, model, { env: shortLimits })
    const { job, ended } = await node.ask()
    const events = await ended
    const stored = await readGeneration(node, job)
    expect(stored).toMatchObject({ status: 'FAILED', messageStatus: 'FAILED', errorCode: code, attempts: calls })
    expect(stored.errorMessage).toMatch(/\.$/)
    expect(stored.content).toBe(text('seed', kept))
    expect(await readTold(node, job)).toEqual({ text: stored.content, ends: 1 })
    expect(textOf(events, job)).toBe(stored.content)
    expect(model.requests).toHaveLength(calls)
    expect(await readUsage(node, job)).toHaveLength(1)
  })

  test('there is no such provider', async () => {
    const node = await startNode(database, await startModel())
    const { job, ended } = await node.ask({ model: 'nowhere/nothing' })
    await ended
    expect(await readGeneration(node, job)).toMatchObject({
      ...{ status: 'FAILED', errorCode: 'PROVIDER_UNAVAILABLE', finishReason: null },
    })
    // its prompt went nowhere
    expect(await readUsage(node, job)).toEqual([{ promptTokens: 0, completionTokens: 0, isEstimated: true }])
  })

  test('nobody listens at the provider', async () => {
    const model = await startModel()
    const node = await startNode(database, model, { env: shortLimits })
    await model.stop()
    const { job, ended } = await node.ask()
    await ended
    expect(await readGeneration(node, job)).toMatchObject({ status: 'FAILED', errorCode: 'PROVIDER_UNAVAILABLE' })
  })

  test('its conversation does not fit the model', async () => {
    const model = await startModel()
    const node = await startNode(database, model, { env: { CONTEXT_WINDOW: '256' } })
    const { job, ended } = await node.ask({ content: 'x'.repeat(2_000) })
    await ended
    expect(await readGeneration(node, job)).toMatchObject({ status: 'FAILED', errorCode: 'CONTEXT_TOO_LONG' })
    expect(model.requests).toEqual([])
  })
})

describeOnEach('a provider that fails before its first token', (database) => {
  test.each([500, 429])('with %i is asked again, and nobody notices', async (status) => {
    const model = await startModel({ tokens: 10, failures: 2, status, retryAfter: 0 })
    const node = await startNode(database, model)
    const { job, ended } = await node.ask()
    expect(textOf(await ended, job)).toBe(text('seed', 10))
    expect(await readGeneration(node, job)).toMatchObject({ status: 'COMPLETE', attempts: 3 })
    expect(model.requests).toHaveLength(3)
    expect(await readTold(node, job)).toEqual({ text: text('seed', 10), ends: 1 })
  })
})

describeOnEach('after a fallback', (database) => {
  const modelsOf = async (env: Record<string, string>, behaviourOf: Record<string, Behaviour>) => {
    const model = await startModel()
    model.script(({ body }) => behaviourOf[body.model] ?? { status: 500 })
    const node = await startNode(database, model, { env: { PROVIDER_ATTEMPTS: '1', ...env } })
    const { job, ended } = await node.ask({ content: '/fast /echo hi' })
    await ended
    const { status, attempts } = await readGeneration(node, job)
    return { status, attempts, ...(await readModels(node, job)) }
  }
  const all = (name: string) => ({ generation: name, message: name, usage: name })

  test('the generation, its message and its usage name the model that answered', async () => {
    expect(await modelsOf({ FALLBACK_MODELS: 'demo/demo' }, {})).toEqual({
      ...{ status: 'COMPLETE', attempts: 2 },
      ...all('demo/demo'),
    })
  })

  test('that broke off they name the model that wrote what there is', async () => {
    expect(await modelsOf({ FALLBACK_MODELS: 'local/other' }, { other: { tokens: 9, eof: 4 } })).toEqual({
      ...{ status: 'FAILED', attempts: 2 },
      ...all('local/other'),
    })
  })

  test('that failed too they name the model that was asked for', async () => {
    expect(await modelsOf({ FALLBACK_MODELS: 'local/other' }, {})).toEqual({
      ...{ status: 'FAILED', attempts: 2 },
      ...all('local/fake'),
    })
  })
})
