import { randomUUID } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { MemoryBus } from '../../server/bus/memoryBus.ts'
import { Generations } from '../../server/generation/generations.ts'
import { reap } from '../../server/generation/reap.ts'
import { SessionLog } from '../../server/log/sessionLog.ts'
import { createProviders } from '../../server/providers/registry.ts'
import type { Storage } from '../../server/storage/storage.ts'
import type { Topics } from '../../server/topics.ts'
import { text, token } from '../support/fakeModelServer.ts'
import { deltaRow, insertGeneration, insertSession } from '../support/rows.ts'
import { configFor, describeOnEach, openTestStorage } from '../support/storages.ts'
import { readGeneration, readTold, readUsage, startModel, startNode, watch } from './harness.ts'

const future = () => new Date(Date.now() + 3_600_000)
const past = () => new Date(Date.now() - 1)
const unknownModel = (id: string) => ({ id, name: id, provider: 'local', contextWindow: null })

describeOnEach('a generation whose lease ran out', (database) => {
  const newLog = () => new SessionLog(database.storage, new MemoryBus<Topics>())
  const reapWith = (log: SessionLog) =>
    reap({ storage: database.storage, log, providers: { find: unknownModel }, contextWindow: 1_000 })

  test('is interrupted once, with all that was stored, however many look for it', async () => {
    const log = newLog()
    const session = await insertSession(database.storage)
    const job = await insertGeneration(database.storage, log, session, {
      content: 'forty characters, of which it was to say',
      settings: { systemPrompt: 'Be brief' },
      leaseUntil: past(),
    })
    await database.storage.appendDeltas([deltaRow(job, { textOffset: 0, text: 'stored ', timeToFirstTokenMs: 5 })])
    await database.storage.appendDeltas([deltaRow(job, { textOffset: 7, text: 'text 😀' })])
    const { ended } = watch(log, session, job)
    const counts = await Promise.all(Array.from({ length: 5 }, () => reapWith(log)))
    expect(counts.reduce((sum, count) => sum + count)).toBe(1)
    expect(await readGeneration(database, job)).toMatchObject({
      status: 'INTERRUPTED',
      messageStatus: 'INTERRUPTED',
      content: 'stored text 😀',
      errorCode: 'INTERRUPTED',
      timeToFirstTokenMs: 5,
    })
    expect(await readTold(database, job)).toEqual({ text: 'stored text 😀', ends: 1 })
    expect(await readUsage(database, job)).toEqual([{ promptTokens: 12, completionTokens: 4, isEstimated: true }])
    expect((await ended).at(-1)).toMatchObject({ kind: 'GenerationEnded', subjectId: job.generationId })
    expect(await reapWith(log)).toBe(0)
    expect(await database.storage.read.all('SELECT fence FROM generations WHERE id = ?', [job.generationId])).toEqual([
      { fence: job.fence + 1 },
    ])
    log.stop()
  })

  test('had no prompt where that was too long for its model to be shown', async () => {
    const log = newLog()
    const job = await insertGeneration(database.storage, log, await insertSession(database.storage), {
      content: 'x'.repeat(4_000),
      leaseUntil: past(),
    })
    expect(await reapWith(log)).toBe(1)
    expect(await readUsage(database, job)).toEqual([{ promptTokens: 0, completionTokens: 0, isEstimated: true }])
  })

  test('keeps what was stored beyond its last checkpoint too', async () => {
    const log = newLog()
    const job = await insertGeneration(database.storage, log, await insertSession(database.storage), {
      leaseUntil: past(),
    })
    const [seq] = await database.storage.appendDeltas([
      deltaRow(job, { textOffset: 0, text: 'kept', timeToFirstTokenMs: 5 }),
    ])
    await database.storage.transaction((tx) =>
      tx.run(`UPDATE messages SET content = 'kept', content_seq = ? WHERE id = ?`, [seq!, job.messageId]),
    )
    await database.storage.appendDeltas([deltaRow(job, { textOffset: 4, text: ' and more' })])
    await reapWith(log)
    expect((await readGeneration(database, job)).content).toBe('kept and more')
    expect(await readTold(database, job)).toEqual({ text: 'kept and more', ends: 1 })
  })

  test('is left alone while its lease lasts', async () => {
    const log = newLog()
    const job = await insertGeneration(database.storage, log, await insertSession(database.storage), {
      leaseUntil: future(),
    })
    expect(await reapWith(log)).toBe(0)
    expect(await readGeneration(database, job)).toMatchObject({ status: 'PENDING' })
  })

  test('is written no more by its owner, should that wake up: nothing after the end, and its model is left', async () => {
    const model = await startModel({ tokens: 10_000, rate: 300 })
    const zombie = await startNode(database, model, { isStarted: false })
    const asked = await zombie.ask({ leaseUntil: past() })
    await asked.seen(50)
    expect(await reapWith(zombie.log)).toBe(1)
    await asked.ended
    const [stored, told] = [await readGeneration(zombie, asked.job), await readTold(zombie, asked.job)]
    expect(stored).toMatchObject({ status: 'INTERRUPTED' })
    expect(told).toEqual({ text: stored.content, ends: 1 })
    // the model goes on, and the zombie's next write finds its fence gone
    expect((await model.waitForClose(0)).wasAborted).toBe(true)
    await zombie.generations.close(0)
    expect(await readGeneration(zombie, asked.job)).toEqual(stored)
    expect(await readTold(zombie, asked.job)).toEqual(told)
    expect(await readUsage(zombie, asked.job)).toHaveLength(1)
  })

  test('is not said to be ended by another node where its session was deleted', async () => {
    const model = await startModel({ tokens: 3, stall: 2 })
    const node = await startNode(database, model, { isStarted: false, env: { LOG_LEVEL: 'warn' } })
    const { job, session, seen } = await node.ask()
    await seen(token('seed', 0).length)
    await database.storage.transaction((tx) => tx.run(`DELETE FROM sessions WHERE id = ?`, [session.sessionId]))
    await node.generations.stop(job.generationId)
    expect(node.errors).toEqual([])
    const other = await node.ask({ leaseUntil: past() })
    await model.waitForRequest(1)
    await reapWith(node.log)
    await node.generations.stop(other.job.generationId)
    expect(node.errors).toEqual([expect.stringContaining('a generation had been ended by another node')])
  })

  test('and whose model ends just then has one end', async () => {
    const model = await startModel({ tokens: 3, stall: 2 })
    const zombie = await startNode(database, model, { isStarted: false })
    const { job, seen, ended } = await zombie.ask({ leaseUntil: past() })
    await seen(token('seed', 0).length)
    await Promise.all([reapWith(zombie.log), zombie.generations.stop(job.generationId)])
    await ended
    const stored = await readGeneration(zombie, job)
    expect(['INTERRUPTED', 'STOPPED']).toContain(stored.status)
    expect(await readTold(zombie, job)).toEqual({ text: stored.content, ends: 1 })
    expect(await readUsage(zombie, job)).toHaveLength(1)
  })

  test('is found by the timers of any node', async () => {
    const node = await startNode(database, await startModel(), { env: { LEASE_RENEW_MS: '50' } })
    const session = await insertSession(database.storage)
    const job = await insertGeneration(database.storage, node.log, session, { leaseUntil: past() })
    await watch(node.log, session, job).ended
    expect(await readGeneration(node, job)).toMatchObject({ status: 'INTERRUPTED' })
  })

  test('does not run out while its owner renews it', async () => {
    const model = await startModel({ tokens: 100, rate: 100 })
    const env = { LEASE_RENEW_MS: '50', LEASE_MS: '3000' }
    const node = await startNode(database, model, { env })
    // shorter than the answer takes: only a renewal keeps it
    const { job, ended } = await node.ask({ leaseUntil: new Date(Date.now() + 600) })
    await ended
    expect(await readGeneration(node, job)).toMatchObject({ status: 'COMPLETE', content: text('seed', 100) })
  })

  test('is not renewed by its owner once that runs it no more, so that its end comes from the reaper', async () => {
    const model = await startModel({ tokens: 10_000, rate: 50 })
    const node = await startNode(database, model, { env: { LEASE_RENEW_MS: '50', LEASE_MS: '60000' } })
    const session = await insertSession(database.storage)
    const running = await node.ask()
    // as one whose end could not be stored for a long time
    const left = await insertGeneration(database.storage, node.log, session, {
      ownerNode: node.generations.nodeId,
      leaseUntil: new Date(Date.now() + 300),
    })
    await watch(node.log, session, left).ended
    expect(await readGeneration(node, left)).toMatchObject({ status: 'INTERRUPTED' })
    expect(node.generations.runningCount()).toBe(1)
    await node.generations.stop(running.job.generationId)
  })
})

test('a SQLite server interrupts at its start what its former self left running, whatever the lease', async () => {
  const database = await openTestStorage('sqlite')
  onTestFinished(() => database.close())
  const before = new SessionLog(database.storage, new MemoryBus<Topics>())
  const job = await insertGeneration(database.storage, before, await insertSession(database.storage), {
    leaseUntil: future(),
  })
  await database.storage.appendDeltas([deltaRow(job, { textOffset: 0, text: 'half an ans', timeToFirstTokenMs: 5 })])
  const storage: Storage = await database.reopen()

  const config = configFor(database.url)
  const bus = new MemoryBus<Topics>()
  const log = new SessionLog(storage, bus)
  const providers = createProviders(config)
  const logger = { debug() {}, info() {}, warn() {}, error() {} }
  const generations = new Generations({ config, logger, storage, bus, log, providers, nodeId: randomUUID() })
  await generations.start()
  expect(await readGeneration(database, job)).toMatchObject({ status: 'INTERRUPTED', content: 'half an ans' })
  expect(await readTold(database, job)).toEqual({ text: 'half an ans', ends: 1 })
  await generations.close(0)
  await providers.close()
})
