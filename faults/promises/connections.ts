import { gql, signIn } from '../../tests/support/clients.ts'
import { text } from '../../tests/support/fakeModelServer.ts'
import { createSession, send } from '../../tests/support/operations.ts'
import { startProxy } from '../../tests/support/proxy.ts'
import { startModel } from '../support/model.ts'
import { Follower, faultsOf, sumOf } from '../support/follower.ts'
import { never, promise, told, tried } from '../support/promise.ts'
import { databaseFor, startNode } from '../support/serverNode.ts'
import { openStored, readAnswer, readOthers } from '../support/stored.ts'
import { until } from '../support/until.ts'

export const connections = promise(
  1,
  'No token is lost, doubled or out of order, whatever happens to the connection',
  {
    short: { subscribers: 24, sessions: 2, deltas: 4_000, silenceMs: 1_500, cutAfterBytes: [500, 40_000] },
    usual: { subscribers: 200, sessions: 8, deltas: 100_000, silenceMs: 10_000, cutAfterBytes: [500, 60_000] },
    long: { subscribers: 200, sessions: 10, deltas: 1_000_000, silenceMs: 30_000, cutAfterBytes: [500, 200_000] },
  },
  async (attack, { subscribers, sessions, deltas, silenceMs, cutAfterBytes }) => {
    const fake = await startModel(attack)
    const databaseUrl = await databaseFor(attack, 'sqlite')
    const node = await startNode(attack, { DATABASE_URL: databaseUrl, LOCAL_BASE_URL: fake.url })
    const proxy = await startProxy(node)
    attack.defer(() => proxy.stop())
    const ada = await signIn(node)
    const sessionIds = await Promise.all(Array.from({ length: sessions }, () => createSession(node, ada)))

    const pingMs = 2_000
    proxy.cutRandomly({
      random: attack.random,
      afterBytes: cutAfterBytes as [number, number],
      ways: ['rst', 'fin', 'half-open', 'silence'],
      silenceMs,
    })
    const followers = Array.from({ length: subscribers }, (_, index) => {
      // every third trusts the server to notice a silence
      const pings = index % 3 === 0 ? 10_000 : pingMs
      const sessionId = sessionIds[index % sessions]!
      return new Follower({ port: proxy.port, token: ada.token, sessionId, pingMs: pings })
    })
    attack.defer(() => Promise.all(followers.map((follower) => follower.stop())))
    // says when an answer has ended; nothing is done to its connection
    const watchers = new Map(
      sessionIds.map((sessionId) => [sessionId, new Follower({ port: node.port, token: ada.token, sessionId })]),
    )
    attack.defer(() => Promise.all([...watchers.values()].map((watcher) => watcher.stop())))

    const expected = new Map<string, { sessionId: string; text: string }>()
    const delivered = () => sumOf(followers, (follower) => follower.deltas)
    let neverEnded = 0
    await Promise.all(
      sessionIds.map(async (sessionId) => {
        while (delivered() < deltas) {
          const seed = `p1-${attack.random.int(0, 1e9)}`
          const tokens = attack.random.int(100, 400)
          const rate = attack.random.int(60, 200)
          const { replyId } = await send(
            node,
            ada,
            sessionId,
            `n [[tokens=${tokens} rate=${rate} seed=${seed} unicode]]`,
          )
          expected.set(replyId, { sessionId, text: text(seed, tokens, true) })
          if (!(await until(() => watchers.get(sessionId)!.endings.has(replyId), 60_000))) neverEnded++
        }
      }),
    )
    proxy.cutRandomly(null)
    const lastSeqs = new Map<string, number>()
    for (const sessionId of sessionIds) {
      const { session } = await gql<{ session: { lastSeq: number } }>(
        node,
        `query ($id: ID!) { session(id: $id) { lastSeq } }`,
        { id: sessionId },
        ada,
      )
      lastSeqs.set(sessionId, session.lastSeq)
    }
    const isBehind = (follower: Follower) => follower.cursor < lastSeqs.get(follower.sessionId)!
    await until(() => !followers.some(isBehind), silenceMs + 60_000)

    const stored = await openStored(databaseUrl)
    attack.defer(() => stored.close())
    let differing = 0
    let wrongAnswers = 0
    for (const [replyId, { sessionId, text: wanted }] of expected) {
      const answer = await readAnswer(stored, replyId)
      if (answer?.content !== wanted || answer.added !== wanted || !answer.isWhole) wrongAnswers++
      for (const follower of followers)
        if (follower.sessionId === sessionId && follower.texts.get(replyId) !== answer?.content) differing++
    }
    let otherLogs = 0
    for (const sessionId of sessionIds) {
      const others = (await readOthers(stored, sessionId)).join()
      for (const follower of followers)
        if (follower.sessionId === sessionId && follower.others.join() !== others) otherLogs++
    }
    return [
      tried('deltas delivered', delivered(), deltas),
      told('subscribers', subscribers),
      tried('connections cut', proxy.cuts, 10),
      tried(
        'connections made again',
        sumOf(followers, ({ connects }) => connects - 1),
        10,
      ),
      told('answers', expected.size),
      ...Object.entries(faultsOf(followers)).map(([name, value]) => never(name, value)),
      never('texts that differ from the stored ones', differing),
      never('stored answers that differ from what the model said', wrongAnswers),
      never('logs that differ from the stored ones', otherLogs),
      never('answers that never ended', neverEnded),
      never('subscribers left behind', followers.filter(isBehind).length),
    ]
  },
)
