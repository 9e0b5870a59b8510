import { randomUUID } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { NotFoundError } from '../../server/errors.ts'
import { MemoryBus } from '../../server/bus/memoryBus.ts'
import type { Topics } from '../../server/topics.ts'
import { text, token, type Behaviour } from '../support/fakeModelServer.ts'
import { startRawServer } from '../support/rawServer.ts'
import { insertGeneration, insertSession } from '../support/rows.ts'
import { describeOnEach } from '../support/storages.ts'
import { readGeneration, readModels, readTold, readUsage, startModel, startNode, textOf, watch } from './harness.ts'

describeOnEach('a generation that completes', (database) => {
  test('is byte-equal in its message, in the log and for who follows it', async () => {
    const model = await startModel({ tokens: 500, unicode: true, split: 37 })
    const node = await startNode(database, model)
    const { job, ended } = await node.ask()
    const whole = text('seed', 500, true)
    expect(textOf(await ended, job)).toBe(whole)
    const stored = await readGeneration(node, job)
    expect(stored).toMatchObject({ status: 'COMPLETE', messageStatus: 'COMPLETE', errorCode: null, attempts: 1 })
    expect(stored.content).toBe(whole)
    expect(await readTold(node, job)).toEqual({ text: whole, ends: 1 })
    expect(node.errors).toEqual([])
  })

  test('tells its times, and the seq up to which its content is whole', async () => {
    const node = await startNode(database, await startModel({ tokens: 5, delay: 40 }))
    const { job, ended } = await node.ask()
    const events = await ended
    const stored = await readGeneration(node, job)
    expect(stored.contentSeq).toBe(events.at(-1)!.seq)
    expect(stored.timeToFirstTokenMs).toBeGreaterThanOrEqual(30)
    expect(stored.responseTimeMs).toBeGreaterThanOrEqual(stored.timeToFirstTokenMs!)
    expect(stored.endedAt).not.toBeNull()
  })

  test('shows its first token while the others are still to come, and only what is stored', async () => {
    const model = await startModel({ tokens: 3, stall: 1 })
    const node = await startNode(database, model)
    const { job, seen, ended } = await node.ask()
    await seen(token('seed', 0).length)
    expect(await readGeneration(node, job)).toMatchObject({ status: 'STREAMING', messageStatus: 'STREAMING' })
    expect((await readTold(node, job)).text).toBe(token('seed', 0))
    await node.generations.stop(job.generationId)
    await ended
  })

  test('with no text at all is complete and empty', async () => {
    const node = await startNode(database, await startModel({ tokens: 0 }))
    const { job, ended } = await node.ask()
    await ended
    expect(await readGeneration(node, job)).toMatchObject({ status: 'COMPLETE', content: '', timeToFirstTokenMs: null })
    expect(await readTold(node, job)).toEqual({ text: '', ends: 1 })
  })

  test('ten at once, each followed, mix nothing up', async () => {
    const model = await startModel()
    model.script(({ body }) => ({ seed: body.messages.at(-1)!.content, tokens: 200, rate: 2000 }))
    const node = await startNode(database, model)
    const session = await insertSession(database.storage)
    const asked = await Promise.all(
      Array.from({ length: 10 }, (_, n) => node.ask({ content: `seed${n}`, session: n < 3 ? session : undefined })),
    )
    for (const [n, { job, ended }] of asked.entries()) {
      const whole = text(`seed${n}`, 200)
      expect(textOf(await ended, job)).toBe(whole)
      expect((await readGeneration(node, job)).content).toBe(whole)
      expect(await readTold(node, job)).toEqual({ text: whole, ends: 1 })
    }
    expect(node.generations.runningCount()).toBe(0)
  })

  test('keeps half a character back until the other half is there, and stores what can be stored of the rest', async () => {
    const pieces = ['one \\ud83d', '\\ude00 two', '\\u0000', ' three \\ud83d']
    const chunk = (delta: string, finish = 'null') =>
      `data: {"choices":[{"index":0,"delta":{"content":"${delta}"},"finish_reason":${finish}}]}\n\n`
    const raw = await startRawServer((socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n')
        const chunks = [...pieces.map((piece) => chunk(piece)), chunk('', '"stop"'), 'data: [DONE]\n\n']
        const next = (): void => {
          const one = chunks.shift()
          if (one === undefined) socket.end()
          else socket.write(one, () => setTimeout(next, 5))
        }
        next()
      })
    })
    onTestFinished(() => raw.stop())
    const node = await startNode(database, await startModel(), {
      env: { LOCAL_BASE_URL: `http://127.0.0.1:${raw.port}/v1` },
    })
    const { job, ended } = await node.ask()
    const whole = 'one 😀 two\uFFFD three \uFFFD'
    const events = await ended
    expect(textOf(events, job)).toBe(whole)
    expect((await readGeneration(node, job)).content).toBe(whole)
    expect(await readTold(node, job)).toEqual({ text: whole, ends: 1 })
    for (const event of events) expect(event.text.isWellFormed()).toBe(true)
  })
})

describeOnEach('what a generation used', (database) => {
  test('is what the provider reported', async () => {
    const node = await startNode(database, await startModel({ tokens: 7 }))
    const { job, ended } = await node.ask({ content: 'x'.repeat(40) })
    await ended
    expect(await readUsage(node, job)).toEqual([{ promptTokens: 10, completionTokens: 7, isEstimated: false }])
  })

  test('is estimated at four characters a token where it was not reported', async () => {
    const node = await startNode(database, await startModel({ tokens: 7, usage: false }))
    const { job, ended } = await node.ask({ content: 'x'.repeat(41), settings: { systemPrompt: 'y'.repeat(40) } })
    await ended
    const completionTokens = Math.ceil(text('seed', 7).length / 4)
    expect(await readUsage(node, job)).toEqual([{ promptTokens: 21, completionTokens, isEstimated: true }])
  })
})

/** Sockets that this process opens to a port, from now on. */
function socketsTo(port: number): Socket[] {
  const sockets: Socket[] = []
  const onSocket = (message: unknown): void => {
    const { socket } = message as { socket: Socket }
    socket.once('connect', () => {
      if (socket.remotePort === port) sockets.push(socket)
    })
  }
  subscribe('net.client.socket', onSocket)
  onTestFinished(() => void unsubscribe('net.client.socket', onSocket))
  return sockets
}

describeOnEach('a generation that is stopped', (database) => {
  test('has closed its upstream before stop resolves, and keeps its text', async () => {
    const model = await startModel({ tokens: 10_000, rate: 500 })
    const node = await startNode(database, model)
    const sockets = socketsTo(model.port)
    const { job, seen, ended } = await node.ask()
    await seen(100)
    expect(sockets.map(({ closed }) => closed)).toEqual([false])
    await node.generations.stop(job.generationId)
    expect(sockets.map(({ closed }) => closed)).toEqual([true])
    const [stored, told] = [await readGeneration(node, job), await readTold(node, job)]
    expect(node.generations.runningCount()).toBe(0)
    const request = await model.waitForClose(0)
    expect(request.wasAborted).toBe(true)
    expect(stored).toMatchObject({ status: 'STOPPED', messageStatus: 'STOPPED', errorCode: null, errorMessage: null })
    expect(stored.content.length).toBeGreaterThanOrEqual(100)
    expect(text('seed', 10_000).startsWith(stored.content)).toBe(true)
    expect(told).toEqual({ text: stored.content, ends: 1 })
    expect(textOf(await ended, job)).toBe(stored.content)
    expect(await readUsage(node, job)).toMatchObject([{ isEstimated: true }])
  })

  test('before its first token has no text', async () => {
    const model = await startModel({ hang: true })
    const node = await startNode(database, model)
    const { job } = await node.ask()
    await model.waitForRequest(0)
    await node.generations.stop(job.generationId)
    expect(await readGeneration(node, job)).toMatchObject({ status: 'STOPPED', content: '', timeToFirstTokenMs: null })
    expect((await model.waitForClose(0)).wasAborted).toBe(true)
  })

  test('twice, or after its end, is stopped once', async () => {
    const node = await startNode(database, await startModel({ tokens: 10_000, rate: 500 }))
    const { job, seen } = await node.ask()
    await seen(10)
    await Promise.all([node.generations.stop(job.generationId), node.generations.stop(job.generationId)])
    const stored = await readGeneration(node, job)
    await node.generations.stop(job.generationId)
    expect(await readGeneration(node, job)).toEqual(stored)
    expect((await readTold(node, job)).ends).toBe(1)
    expect(await readUsage(node, job)).toHaveLength(1)
  })

  test('from another node is stopped where it runs', async () => {
    const model = await startModel({ tokens: 10_000, rate: 500 })
    const bus = new MemoryBus<Topics>()
    const [runs, asks] = [await startNode(database, model, { bus }), await startNode(database, model, { bus })]
    const { job, seen } = await runs.ask()
    await seen(10)
    await asks.generations.stop(job.generationId)
    expect(await readGeneration(asks, job)).toMatchObject({ status: 'STOPPED' })
    expect((await model.waitForClose(0)).wasAborted).toBe(true)
  })

  test('from another node is stopped also where the bus loses the word at first', async () => {
    const model = await startModel({ tokens: 10_000, rate: 500 })
    const bus = new MemoryBus<Topics>()
    const [runs, asks] = [await startNode(database, model, { bus }), await startNode(database, model, { bus })]
    const { job, seen } = await runs.ask()
    await seen(10)
    const publish = bus.publish.bind(bus)
    let lost = 0
    bus.publish = (topic, key, message) => {
      if (topic !== 'stop' || lost++ > 0) publish(topic, key, message)
    }
    await asks.generations.stop(job.generationId)
    expect(lost).toBeGreaterThan(1)
    expect(await readGeneration(asks, job)).toMatchObject({ status: 'STOPPED' })
  })

  test('while it is stored and not yet run asks no model', async () => {
    const model = await startModel()
    const bus = new MemoryBus<Topics>()
    const { generations, log, storage, ...node } = await startNode(database, model, { bus })
    const session = await insertSession(storage)
    const job = await insertGeneration(storage, log, session, { ownerNode: generations.nodeId })
    const asked = Promise.withResolvers<void>()
    await bus.subscribe('stop', 'all', () => asked.resolve())
    const stopping = generations.stop(job.generationId)
    await asked.promise
    const { ended } = watch(log, session, job)
    generations.run(job)
    await Promise.all([stopping, ended])
    expect(await readGeneration({ storage }, job)).toMatchObject({ status: 'STOPPED', content: '' })
    expect(model.requests).toEqual([])
    expect(node.errors).toEqual([])
  })

  test('that does not exist is not found', async () => {
    const node = await startNode(database, await startModel())
    await expect(node.generations.stop(randomUUID())).rejects.toThrow(NotFoundError)
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
    expect(await readGeneration(node, job)).toMatchObject({ status: 'FAILED', errorCode: 'PROVIDER_UNAVAILABLE' })
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

describeOnEach('a server that closes', (database) => {
  test('lets its generations end by themselves', async () => {
    const node = await startNode(database, await startModel({ tokens: 100, rate: 1000 }))
    const { job, seen } = await node.ask()
    await seen(10)
    await node.generations.close(20_000)
    expect(await readGeneration(node, job)).toMatchObject({ status: 'COMPLETE', content: text('seed', 100) })
  })

  test('interrupts those that take too long, with their text, those too that began meanwhile', async () => {
    const model = await startModel({ tokens: 10_000, rate: 200 })
    const node = await startNode(database, model)
    const first = await node.ask()
    await first.seen(10)
    const closing = node.generations.close(100)
    const second = await node.ask()
    await closing
    // one that was let in before begins even after
    await expect.poll(() => node.generations.runningCount(), { timeout: 20_000 }).toBe(0)
    for (const { job } of [first, second]) {
      const stored = await readGeneration(node, job)
      expect(stored).toMatchObject({ status: 'INTERRUPTED', errorCode: 'INTERRUPTED' })
      expect(await readTold(node, job)).toEqual({ text: stored.content, ends: 1 })
    }
    expect((await readGeneration(node, first.job)).content.length).toBeGreaterThanOrEqual(10)
  })
})
