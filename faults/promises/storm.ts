import { setTimeout as delay } from 'node:timers/promises'
import { signIn } from '../../tests/support/clients.ts'
import { createSession } from '../../tests/support/operations.ts'
import { Follower, faultsOf, sumOf } from '../support/follower.ts'
import { startModel } from '../support/model.ts'
import { atMost, never, promise, told, tried } from '../support/promise.ts'
import { startQueryCounter } from '../support/queryCounter.ts'
import { sendUntilAcknowledged } from '../support/sending.ts'
import { databaseFor, startNode } from '../support/serverNode.ts'
import { openStored, readAnswer, readLastSeq } from '../support/stored.ts'
import { until } from '../support/until.ts'

const refusedAtMostMs = 30_000
const queriesEach = 5
const idleMs = 2_000

export const storm = promise(
  10,
  'A storm of reconnects is absorbed',
  {
    short: { sockets: 100, people: 4, storms: 1 },
    usual: { sockets: 1_000, people: 50, storms: 1 },
    long: { sockets: 1_000, people: 50, storms: 5 },
  },
  async (attack, { sockets, people, storms }) => {
    const fake = await startModel(attack)
    const databaseUrl = await databaseFor(attack, 'postgres')
    const counter = await startQueryCounter(Number(new URL(databaseUrl).port))
    attack.defer(() => counter.stop())
    const counted = new URL(databaseUrl)
    counted.port = String(counter.port)
    const lease: Record<string, string> = { LEASE_MS: '2000', LEASE_RENEW_MS: '500' }
    const node = await startNode(attack, { ...lease, DATABASE_URL: counted.href, LOCAL_BASE_URL: fake.url })
    const stored = await openStored(databaseUrl)
    attack.defer(() => stored.close())
    const owners = await Promise.all(Array.from({ length: people }, (_, n) => signIn(node, `Person ${n}`)))
    const sessionIds = await Promise.all(owners.map((owner) => createSession(node, owner)))
    const followers = Array.from({ length: sockets }, (_, index) => {
      const place = index % people
      return new Follower({
        port: node.port,
        token: owners[place]!.token,
        sessionId: sessionIds[place]!,
        retryWithinMs: 20_000,
      })
    })
    attack.defer(() => Promise.all(followers.map((follower) => follower.stop())))
    if (!(await until(() => followers.every(({ isConnected }) => isConnected), 60_000)))
      throw new Error('Not everyone could connect in the first place.')

    let slowestMs = 0
    let notCaughtUp = 0
    let worstQueries = 0
    let lost = 0
    for (let n = 0; n < storms; n++) {
      const replies = await sendToAll(`[[tokens=2000 rate=20 seed=p10-${attack.random.int(0, 1e9)}]]`)
      await until(() => replies.every((id) => followers.some(({ texts }) => texts.has(id!))), 20_000)
      await node.end('SIGKILL')
      await until(() => !followers.some(({ isConnected }) => isConnected), 10_000)
      await node.start()
      const startedAt = performance.now()
      const before = counter.queries
      const isBack = await until(() => followers.every(({ isConnected }) => isConnected), refusedAtMostMs)
      slowestMs = Math.max(slowestMs, performance.now() - startedAt)
      await until(
        async () => (await stored.all(`SELECT id FROM generations WHERE ended_at IS NULL`)).length === 0,
        20_000,
      )
      const lastSeqs = new Map<string, number>()
      for (const sessionId of sessionIds) lastSeqs.set(sessionId, await readLastSeq(stored, sessionId))
      const isBehind = (follower: Follower) => follower.cursor < lastSeqs.get(follower.sessionId)!
      await until(() => !followers.some(isBehind), 20_000)
      const asked = counter.queries - before
      const anyway = (await idleRate()) * (performance.now() - startedAt - idleMs)
      worstQueries = Math.max(worstQueries, (asked - anyway) / sockets)
      notCaughtUp += followers.filter(isBehind).length
      if (!isBack) notCaughtUp += followers.filter(({ isConnected }) => !isConnected).length
      const last = await sendToAll('[[tokens=5]]')
      const isEverywhere = () =>
        followers.every((follower) => follower.endings.has(last[sessionIds.indexOf(follower.sessionId)]!))
      if (!(await until(isEverywhere, 20_000))) notCaughtUp++
      for (const [place, replyId] of [...replies.entries(), ...last.entries()]) {
        const answer = await readAnswer(stored, replyId!)
        for (const follower of followers)
          if (follower.sessionId === sessionIds[place] && follower.texts.get(replyId!) !== answer?.content) lost++
      }
    }
    return [
      tried('sockets', sockets),
      tried('servers killed and started', storms),
      tried(
        'connections made again',
        sumOf(followers, ({ connects }) => connects - 1),
        sockets * storms,
      ),
      told('seconds until the last was back', slowestMs / 1000),
      atMost('queries for each client', queriesEach, worstQueries),
      never('clients not caught up', notCaughtUp),
      never('texts that differ from the stored ones', lost),
      atMost('longest refusal in seconds', refusedAtMostMs / 1000, slowestMs / 1000),
      ...Object.entries(faultsOf(followers)).map(([name, value]) => never(name, value)),
    ]

    /** Queries a millisecond while nobody asks for anything: leases, and looking for what the bus may have lost. */
    async function idleRate(): Promise<number> {
      const idleBefore = counter.queries
      await delay(idleMs)
      return (counter.queries - idleBefore) / idleMs
    }

    function sendToAll(words: string) {
      return Promise.all(
        owners.map(async (by, place) => {
          const content = `storm ${attack.random.int(0, 1e9)} ${words}`
          const sent = await sendUntilAcknowledged({ url: () => node.url, by, sessionId: sessionIds[place]!, content })
          return sent!.replyId
        }),
      )
    }
  },
)
