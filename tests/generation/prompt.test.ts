import { beforeAll, expect, test } from 'vitest'
import { MemoryBus } from '../../server/bus/memoryBus.ts'
import { buildPrompt, estimateTokens } from '../../server/generation/prompt.ts'
import { SessionLog } from '../../server/log/sessionLog.ts'
import { ProviderError } from '../../server/providers/provider.ts'
import type { Topics } from '../../server/topics.ts'
import {
  deltaRow,
  insertGeneration,
  insertMessage,
  insertSession,
  noSettings,
  type MessageRows,
  type SessionRows,
} from '../support/rows.ts'
import { describeOnEach } from '../support/storages.ts'

describeOnEach('the prompt', (database) => {
  let log: SessionLog
  let session: SessionRows

  beforeAll(async () => {
    log = new SessionLog(database.storage, new MemoryBus<Topics>())
    session = await insertSession(database.storage)
  })

  /** A branch of messages, each the parent of the next. */
  const branch = async (messages: MessageRows[], from: string | null = null): Promise<string[]> => {
    const ids: string[] = []
    for (const message of messages)
      ids.push((await insertMessage(database.storage, log, session, { parentId: ids.at(-1) ?? from, ...message })).id)
    return ids
  }
  const build = (messageId: string, of: { contextWindow?: number; systemPrompt?: string; maxTokens?: number } = {}) =>
    buildPrompt(database.storage, {
      messageId,
      settings: { ...noSettings, systemPrompt: of.systemPrompt ?? null, maxTokens: of.maxTokens ?? null },
      contextWindow: of.contextWindow ?? 10_000,
    })

  test('is the path of parents, oldest first, and no other branch', async () => {
    const [root, answer] = await branch([{ content: 'one' }, { role: 'ASSISTANT', content: 'two' }])
    const [left] = await branch([{ content: 'left' }, { role: 'ASSISTANT', content: 'left again' }], answer)
    const [right] = await branch([{ content: 'right' }], answer)
    expect(await build(right!)).toEqual([
      { role: 'user', content: 'one' },
      { role: 'assistant', content: 'two' },
      { role: 'user', content: 'right' },
    ])
    expect((await build(left!)).map(({ content }) => content)).toEqual(['one', 'two', 'left'])
    expect(await build(root!)).toEqual([{ role: 'user', content: 'one' }])
  })

  test('begins with the system prompt, where there is one', async () => {
    const [id] = await branch([{ content: 'Hello' }])
    expect(await build(id!, { systemPrompt: 'Be brief.' })).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hello' },
    ])
    expect(await build(id!, { systemPrompt: '' })).toHaveLength(1)
  })

  test('leaves out answers without text, and keeps those that broke off', async () => {
    const ids = await branch([
      { content: 'one' },
      { role: 'ASSISTANT', content: '', status: 'FAILED' },
      { content: 'two' },
      { role: 'ASSISTANT', content: 'half', status: 'STOPPED' },
      { content: 'three' },
    ])
    expect((await build(ids.at(-1)!)).map(({ content }) => content)).toEqual(['one', 'two', 'half', 'three'])
  })

  test('has what an answer that still streams has so far, beyond its last checkpoint too', async () => {
    const job = await insertGeneration(database.storage, log, session, { content: 'question' })
    const [seq] = await database.storage.appendDeltas([
      deltaRow(job, { textOffset: 0, text: 'so ', timeToFirstTokenMs: 1 }),
    ])
    await database.storage.appendDeltas([deltaRow(job, { textOffset: 3, text: 'far' })])
    const [id] = await branch([{ content: 'and?' }], job.messageId)
    expect((await build(id!)).map(({ content }) => content)).toEqual(['question', 'so far', 'and?'])
    await database.storage.transaction((tx) =>
      tx.run(`UPDATE messages SET content = 'so ', content_seq = ? WHERE id = ?`, [seq!, job.messageId]),
    )
    expect((await build(id!)).map(({ content }) => content)).toEqual(['question', 'so far', 'and?'])
  })

  test('drops the oldest where the window would be passed, and no more than that', async () => {
    // a window of 400 tokens, 100 of them for the answer: 1,200 characters
    const ids = await branch(Array.from({ length: 6 }, (_, n) => ({ content: `${n}`.repeat(400) })))
    const kept = async (of: Parameters<typeof build>[1]) =>
      (await build(ids.at(-1)!, { contextWindow: 400, ...of })).map(({ content }) => content[0])
    expect(await kept({})).toEqual(['3', '4', '5'])
    expect(await kept({ systemPrompt: 'x' })).toEqual(['x', '4', '5'])
    expect(await kept({ maxTokens: 200 })).toEqual(['4', '5'])
    expect(await kept({ maxTokens: 100_000 })).toEqual(['4', '5'])
    expect(await kept({ maxTokens: 1 })).toEqual(['3', '4', '5'])
  })

  test('reads no more of a long session than fits', async () => {
    const ids = await branch(Array.from({ length: 60 }, (_, n) => ({ content: `${n % 10}`.repeat(100) })))
    const prompt = await build(ids.at(-1)!, { contextWindow: 400 })
    expect(prompt).toHaveLength(12)
    expect(prompt.at(-1)!.content[0]).toBe('9')
  })

  test('is refused where not even the newest message fits beside the system prompt', async () => {
    const [id] = await branch([{ content: 'x'.repeat(1_200) }])
    expect(await build(id!, { contextWindow: 400 })).toHaveLength(1)
    const failure = build(id!, { contextWindow: 400, systemPrompt: 'y' })
    await expect(failure).rejects.toThrow(ProviderError)
    await expect(failure).rejects.toMatchObject({ code: 'CONTEXT_TOO_LONG', retryable: false })
    await expect(build(id!, { contextWindow: 400, systemPrompt: 'y'.repeat(5_000) })).rejects.toMatchObject({
      code: 'CONTEXT_TOO_LONG',
    })
  })

  test('counts four characters a token, a begun one whole', () => {
    expect([0, 1, 4, 5, 8].map(estimateTokens)).toEqual([0, 1, 1, 2, 2])
  })
})
