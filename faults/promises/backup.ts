import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { makeFolder } from '../../tests/support/app.ts'
import { signIn } from '../../tests/support/clients.ts'
import { createSession, readMessage } from '../../tests/support/operations.ts'
import { storageKinds, type StorageKind } from '../../tests/support/storages.ts'
import { startModel } from '../support/model.ts'
import { never, promise, told, tried, type Attack, type Count } from '../support/promise.ts'
import { sendUntilAcknowledged, type Sent } from '../support/sending.ts'
import { databaseFor, startNode } from '../support/serverNode.ts'
import { openStored, readLastSeq, type Stored } from '../support/stored.ts'

export const backup = promise(
  11,
  'A back-up taken under load restores',
  { short: { backups: 1, sessions: 4 }, usual: { backups: 3, sessions: 20 }, long: { backups: 20, sessions: 20 } },
  async (attack, { backups, sessions }) => {
    const counts: Count[] = []
    for (const kind of storageKinds) counts.push(...(await attackOn(attack, kind, backups, sessions)))
    return counts
  },
)

async function attackOn(attack: Attack, kind: StorageKind, backups: number, sessions: number): Promise<Count[]> {
  const fake = await startModel(attack)
  const databaseUrl = await databaseFor(attack, kind)
  const node = await startNode(attack, { DATABASE_URL: databaseUrl, LOCAL_BASE_URL: fake.url })
  const folder = await makeFolder()
  attack.defer(folder.remove)
  const stored = await openStored(databaseUrl)
  attack.defer(() => stored.close())
  const ada = await signIn(node)
  const sessionIds = await Promise.all(Array.from({ length: sessions }, () => createSession(node, ada)))
  const over = new AbortController()
  attack.defer(() => over.abort())
  const acknowledged: Sent[] = []
  const sending = sessionIds.map(async (sessionId) => {
    while (!over.signal.aborted) {
      const content = `n [[tokens=${attack.random.int(20, 200)} rate=200 seed=p11-${attack.random.int(0, 1e9)}]]`
      const sent = await sendUntilAcknowledged({ url: () => node.url, by: ada, sessionId, content })
      acknowledged.push(sent!)
      await delay(attack.random.int(50, 600))
    }
  })

  // awaited at the end; until then a failure must not end the whole run
  for (const one of sending) one.catch(() => undefined)

  const tally = { compared: 0, events: 0, differ: 0, missing: 0, failed: 0, notServed: 0, underWay: 0 }
  for (let n = 0; n < backups; n++) {
    await delay(attack.random.int(300, 1_200))
    const acknowledgedBefore = [...acknowledged]
    const file = `${folder.path}/backup-${n}`
    const restoredUrl = await databaseFor(attack, kind)
    const isDone = (await runScript('backup', databaseUrl, file)) && (await runScript('restore', restoredUrl, file))
    if (!isDone) {
      tally.failed++
      continue
    }
    const restored = await openStored(restoredUrl)
    try {
      for (const sessionId of sessionIds) {
        tally.compared++
        const [was, is] = [await readSession(restored, sessionId), await readSession(stored, sessionId)]
        tally.events += was.events.length
        if (was.events.join('\n') !== is.events.slice(0, was.events.length).join('\n') || was.events.length === 0)
          tally.differ++
        else if (was.events.length !== (await readLastSeq(restored, sessionId)) || was.torn > 0) tally.differ++
      }
      tally.underWay += (await restored.all(`SELECT id FROM generations WHERE ended_at IS NULL`)).length
      for (const { id } of acknowledgedBefore)
        if ((await restored.all(`SELECT id FROM messages WHERE id = ?`, [id])).length !== 1) tally.missing++
    } finally {
      await restored.close()
    }
    const second = await startNode(attack, { DATABASE_URL: restoredUrl, LOCAL_BASE_URL: fake.url })
    const [first] = acknowledgedBefore
    const isServed =
      !first ||
      (await readMessage(second, ada, first.id).then(
        (message) => message.content === first.content,
        () => false,
      ))
    if (!isServed) tally.notServed++
    await second.end('SIGTERM')
  }
  over.abort()
  await Promise.all(sending)
  return [
    tried(`${kind}: back-ups restored`, backups - tally.failed, backups),
    tried('sessions compared', tally.compared),
    tried('events compared', tally.events),
    told('answers that were under way', tally.underWay),
    never('sessions that differ', tally.differ),
    never('messages gone that were acknowledged before', tally.missing),
    never('restored servers that did not serve them', tally.notServed),
  ]
}

/** A session's events, each as one line, and how many of its ended answers are not what their deltas add up to. */
async function readSession(stored: Stored, sessionId: string): Promise<{ events: string[]; torn: number }> {
  const events = await stored.all<{
    seq: number
    kind: number
    subject: string
    messageSeq: number | null
    place: number
    data: string
  }>(
    `SELECT seq, kind, subject_id AS subject, message_seq AS "messageSeq", text_offset AS place, data
     FROM ${stored.events} AS events
     WHERE log_id = (SELECT log_id FROM session_logs WHERE session_id = ?) ORDER BY seq`,
    [sessionId],
  )
  const added = new Map<number, string>()
  for (const { messageSeq, data } of events)
    if (messageSeq !== null) added.set(messageSeq, (added.get(messageSeq) ?? '') + data)
  const answers = await stored.all<{ seq: number; content: string }>(
    `SELECT m.seq, m.content FROM messages m JOIN generations g ON g.message_id = m.id
     WHERE m.session_id = ? AND g.ended_at IS NOT NULL`,
    [sessionId],
  )
  return {
    events: events.map(({ seq, kind, subject, place, data }) => [seq, kind, subject, place, data].join(' ')),
    torn: answers.filter(({ seq, content }) => content !== (added.get(seq) ?? '')).length,
  }
}

/** Whether `npm run backup` or `restore` succeeded; what it said otherwise is shown. */
async function runScript(name: 'backup' | 'restore', databaseUrl: string, file: string): Promise<boolean> {
  const path = fileURLToPath(new URL(`../../scripts/${name}.ts`, import.meta.url))
  if (!existsSync(path)) throw new Error(`There is no ${path}.`)
  const child = spawn(process.execPath, [path, file], {
    env: { PATH: process.env.PATH, DATABASE_URL: databaseUrl },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const code = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve))
  if (code !== 0) console.error(`${name} ended with ${code}: ${output}`)
  return code === 0
}
