import { expect, onTestFinished, test } from 'vitest'
import { text, token } from '../support/fakeModelServer.ts'
import { startRawServer } from '../support/rawServer.ts'
import { insertSession } from '../support/rows.ts'
import { describeOnEach } from '../support/storages.ts'
import { readGeneration, readTold, readUsage, startModel, startNode, textOf } from './harness.ts'

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

  test.each([
    ['stop', 'STOP'],
    ['length', 'LENGTH'],
    ['content_filter', 'CONTENT_FILTER'],
    ['tool_calls', 'TOOL_CALLS'],
  ])('keeps why the model said no more: %s', async (finish, finishReason) => {
    const node = await startNode(database, await startModel({ tokens: 3, finish }))
    const { job, ended } = await node.ask()
    await ended
    expect(await readGeneration(node, job)).toMatchObject({ status: 'COMPLETE', finishReason })
  })

  test('with no text at all has failed, and says that there was no answer', async () => {
    const node = await startNode(database, await startModel({ tokens: 0 }))
    const { job, ended } = await node.ask()
    await ended
    expect(await readGeneration(node, job)).toMatchObject({
      status: 'FAILED',
      content: '',
      errorMessage: expect.stringContaining('gave no answer'),
      timeToFirstTokenMs: null,
    })
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
