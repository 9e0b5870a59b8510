import { randomUUID } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { NotFoundError } from '../../server/errors.ts'
import { MemoryBus } from '../../server/bus/memoryBus.ts'
import type { Topics } from '../../server/topics.ts'
import { text } from '../support/fakeModelServer.ts'
import { insertGeneration, insertSession } from '../support/rows.ts'
import { describeOnEach } from '../support/storages.ts'
import { readGeneration, readTold, readUsage, startModel, startNode, textOf, watch } from './harness.ts'

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
