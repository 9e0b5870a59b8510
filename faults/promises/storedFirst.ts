import { copyFile, rm } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { signIn, type Person } from '../../tests/support/clients.ts'
import { createSession } from '../../tests/support/operations.ts'
import { storageKinds, type StorageKind } from '../../tests/support/storages.ts'
import { Follower, faultsOf, sumOf } from '../support/follower.ts'
import { startModel } from '../support/model.ts'
import { never, promise, told, tried, type Attack, type Count } from '../support/promise.ts'
import { sendUntilAcknowledged, type Sent } from '../support/sending.ts'
import { databaseFor, startNode, type ServerNode } from '../support/serverNode.ts'
import { openStored, readAnswer, readLastSeq, type Stored } from '../support/stored.ts'
import { until } from '../support/until.ts'

interface Tally {
  lost: number
  goneSends: number
  failedChecks: number
}

export const storedFirst = promise(
  2,
  'What anyone has seen is stored',
  { short: { kills: 2 }, usual: { kills: 10 }, long: { kills: 100 } },
  async (attack, { kills }) => {
    const counts: Count[] = []
    for (const kind of storageKinds) counts.push(...(await attackOn(attack, kind, kills)))
    return counts
  },
)

const sessions = 3
const followersEach = 2

async function attackOn(attack: Attack, kind: StorageKind, kills: number): Promise<Count[]> {
  const fake = await startModel(attack)
  const databaseUrl = await databaseFor(attack, kind)
  const lease: Record<string, string> = { LEASE_MS: '1500', LEASE_RENEW_MS: '300' }
  const node = await startNode(attack, { ...lease, DATABASE_URL: databaseUrl, LOCAL_BASE_URL: fake.url })
  const ada = await signIn(node)
  const sessionIds = await Promise.all(Array.from({ length: sessions }, () => createSession(node, ada)))
  const followers = sessionIds.flatMap((sessionId) =>
    Array.from(
      { length: followersEach },
      () => new Follower({ port: node.port, token: ada.token, sessionId, retryWithinMs: 200 }),
    ),
  )
  attack.defer(() => Promise.all(followers.map((follower) => follower.stop())))

  const over = new AbortController()
  attack.defer(() => over.abort())
  const acknowledged: Sent[] = []
  const sending = sessionIds.map((sessionId) => keepSending(attack, node, ada, sessionId, acknowledged, over.signal))

  const tally: Tally = { lost: 0, goneSends: 0, failedChecks: 0 }
  const compared = new Set<string>()
  let seen = 0
  let interrupted = 0
  for (let kill = 0; kill < kills; kill++) {
    await until(() => followers.every(({ isConnected }) => isConnected), 10_000)
    await delay(attack.random.int(20, 900))
    await node.end('SIGKILL')
    // what stood in the sockets was read, then
    await until(() => !followers.some(({ isConnected }) => isConnected), 10_000)
    seen += await compare(databaseUrl, kind, followers, [...acknowledged], compared, tally)
    await node.start()
  }
  over.abort()
  await Promise.all(sending)

  const stored = await openStored(databaseUrl)
  attack.defer(() => stored.close())
  const replies = acknowledged.flatMap(({ replyId }) => replyId ?? [])
  const running = async () => (await stored.all(`SELECT id FROM generations WHERE ended_at IS NULL`)).length
  await until(async () => (await running()) === 0, 20_000)
  const lastSeqs = new Map<string, number>()
  for (const sessionId of sessionIds) lastSeqs.set(sessionId, await readLastSeq(stored, sessionId))
  const isBehind = (follower: Follower) => follower.cursor < lastSeqs.get(follower.sessionId)!
  await until(() => !followers.some(isBehind), 20_000)
  let differing = 0
  for (const replyId of replies) {
    const answer = await readAnswer(stored, replyId)
    if (!answer || answer.ends !== 1 || answer.added !== answer.content) differing++
    if (answer?.status === 'INTERRUPTED') interrupted++
  }
  const doubled = await countDoubled(stored)
  const faults = Object.values(faultsOf(followers)).reduce((sum, value) => sum + value, 0)
  return [
    tried(`${kind}: kills`, kills),
    tried('seen events and texts compared', seen, kills),
    tried('acknowledged sends', acknowledged.length, kills),
    told('answers interrupted', interrupted),
    told(
      'deltas',
      sumOf(followers, ({ deltas }) => deltas),
    ),
    never('seen but not stored', tally.lost),
    never('acknowledged sends that are gone', tally.goneSends),
    never('sends stored twice', doubled),
    never('integrity checks that failed', tally.failedChecks),
    never('answers without one whole end', differing),
    never('generations still running', await running()),
    never('gaps, repeats and the like', faults),
    never('followers left behind', followers.filter(isBehind).length),
  ]
}

/** Sends on and on: answers of different lengths, and notes that are only stored. */
async function keepSending(
  attack: Attack,
  node: ServerNode,
  by: Person,
  sessionId: string,
  acknowledged: Sent[],
  signal: AbortSignal,
): Promise<void> {
  for (let n = 0; !signal.aborted; n++) {
    const respond = n % 4 === 0
    const seed = `p2-${attack.random.int(0, 1e9)}`
    const content = respond ? `n [[tokens=${attack.random.int(50, 300)} rate=300 seed=${seed}]]` : `note ${seed}`
    const sent = await sendUntilAcknowledged({
      url: () => node.url,
      by,
      sessionId,
      content,
      respond,
      retryMs: 20,
      signal,
    })
    if (sent) acknowledged.push(sent)
    await delay(attack.random.int(5, 120))
  }
}

/** Holds what was seen and acknowledged against the database of a server that was just killed. */
async function compare(
  databaseUrl: string,
  kind: StorageKind,
  followers: readonly Follower[],
  acknowledged: readonly Sent[],
  compared: Set<string>,
  tally: Tally,
): Promise<number> {
  const url = kind === 'sqlite' ? await copyFiles(databaseUrl) : databaseUrl
  const stored = await openStored(url)
  let seen = 0
  try {
    if (kind === 'sqlite') {
      const [row] = await stored.all<{ integrity_check: string }>('PRAGMA integrity_check')
      if (row?.integrity_check !== 'ok') tally.failedChecks++
    }
    for (const follower of followers) {
      seen++
      if (follower.cursor > (await readLastSeq(stored, follower.sessionId))) tally.lost++
      for (const [messageId, text] of follower.texts) {
        if (compared.has(messageId)) continue
        seen++
        const answer = await readAnswer(stored, messageId)
        if (!answer?.added.startsWith(text)) tally.lost++
        const ending = follower.endings.get(messageId)
        if (ending && (answer?.status !== ending || answer.content !== text)) tally.lost++
      }
    }
    for (const { id, content } of acknowledged) {
      if (compared.has(id)) continue
      const [row] = await stored.all<{ content: string }>(`SELECT content FROM messages WHERE id = ?`, [id])
      if (row?.content !== content) tally.goneSends++
      compared.add(id)
    }
    for (const follower of followers) for (const messageId of follower.endings.keys()) compared.add(messageId)
  } finally {
    await stored.close()
    if (kind === 'sqlite') await removeFiles(url)
  }
  return seen
}

const sqlitePath = (url: string): string => url.slice('sqlite:'.length)
const suffixes = ['', '-wal', '-shm']

/** Of the files as the kill left them, so that the server is the first to recover its own. */
async function copyFiles(databaseUrl: string): Promise<string> {
  const [from, to] = [sqlitePath(databaseUrl), `${sqlitePath(databaseUrl)}.copy`]
  for (const suffix of suffixes) await copyFile(from + suffix, to + suffix).catch(() => undefined)
  // recovers the copy, which a reader alone may not
  new Database(to).close()
  return `sqlite:${to}`
}

async function removeFiles(url: string): Promise<void> {
  for (const suffix of suffixes) await rm(sqlitePath(url) + suffix, { force: true })
}

/** Every content is sent only once. */
async function countDoubled(stored: Stored): Promise<number> {
  const rows = await stored.all(
    `SELECT content FROM messages WHERE role = 'USER' GROUP BY session_id, content HAVING count(*) > 1`,
  )
  return rows.length
}
