import { setTimeout as delay } from 'node:timers/promises'
import { signIn } from '../../tests/support/clients.ts'
import { createSession } from '../../tests/support/operations.ts'
import { startBalancer } from '../support/balancer.ts'
import { Follower, faultsOf, sumOf } from '../support/follower.ts'
import { startModel } from '../support/model.ts'
import { never, promise, told, tried } from '../support/promise.ts'
import { sendUntilAcknowledged, type Sent } from '../support/sending.ts'
import { startCluster } from '../support/serverNode.ts'
import { openStored, readAnswer, readLastSeq, readOthers } from '../support/stored.ts'
import { until } from '../support/until.ts'

const caughtUpWithinMs = 10_000

export const deploy = promise(
  9,
  'A deploy loses nothing',
  {
    short: { deploys: 1, followers: 12, shutdownMs: 3_000, spreadMs: 500 },
    usual: { deploys: 1, followers: 100, shutdownMs: 10_000, spreadMs: 3_000 },
    long: { deploys: 5, followers: 200, shutdownMs: 30_000, spreadMs: 3_000 },
  },
  async (attack, { deploys, followers: followerCount, shutdownMs, spreadMs }) => {
    const fake = await startModel(attack)
    const env = {
      LOCAL_BASE_URL: fake.url,
      SHUTDOWN_TIMEOUT_MS: String(shutdownMs),
      SHUTDOWN_SPREAD_MS: String(spreadMs),
    }
    const { nodes, databaseUrl } = await startCluster(attack, [env, env])
    const balancer = await startBalancer(nodes.map(({ port }) => port))
    attack.defer(() => balancer.stop())
    const stored = await openStored(databaseUrl)
    attack.defer(() => stored.close())
    const ada = await signIn(balancer)
    const sessionIds = await Promise.all(Array.from({ length: 6 }, () => createSession(balancer, ada)))
    const followers = Array.from(
      { length: followerCount },
      (_, index) =>
        new Follower({
          port: balancer.port,
          token: ada.token,
          sessionId: sessionIds[index % sessionIds.length]!,
          retryWithinMs: 2_000,
        }),
    )
    attack.defer(() => Promise.all(followers.map((follower) => follower.stop())))
    const over = new AbortController()
    attack.defer(() => over.abort())
    const sent: Sent[] = []
    let longest: Sent[] = []
    const sending = sessionIds.map(async (sessionId, index) => {
      for (let n = 0; !over.signal.aborted; n++) {
        // the last session's answers are longer than a deploy waits
        const isLong = index === sessionIds.length - 1
        const tokens = isLong ? 100 * (shutdownMs / 1000 + 20) : attack.random.int(20, 150)
        const content = `n [[tokens=${tokens} rate=100 seed=p9-${attack.random.int(0, 1e9)}]]`
        const signal = over.signal
        const one = await sendUntilAcknowledged({ url: () => balancer.url, by: ada, sessionId, content, signal })
        if (one) sent.push(one)
        if (one && isLong) longest = [...longest, one]
        await delay(isLong ? 2_000 : attack.random.int(50, 500))
      }
    })

    await until(() => followers.every(({ isConnected }) => isConnected), 20_000)
    const exits: unknown[] = []
    let slowestStopMs = 0
    for (let n = 0; n < deploys; n++)
      for (const node of nodes) {
        await delay(1_500)
        const startedAt = performance.now()
        exits.push(await node.end('SIGTERM'))
        slowestStopMs = Math.max(slowestStopMs, performance.now() - startedAt)
        await node.start()
      }
    over.abort()
    await Promise.all(sending)

    const lastSeqs = new Map<string, number>()
    const isBehind = (follower: Follower) => follower.cursor < (lastSeqs.get(follower.sessionId) ?? Infinity)
    const areUpToDate = async () => {
      for (const sessionId of sessionIds) lastSeqs.set(sessionId, await readLastSeq(stored, sessionId))
      return !followers.some(isBehind)
    }
    await until(
      async () => (await stored.all(`SELECT id FROM generations WHERE ended_at IS NULL`)).length === 0,
      60_000,
    )
    await until(areUpToDate, caughtUpWithinMs)
    const behind = followers.filter(isBehind).length

    let interrupted = 0
    let goneSends = 0
    let tornAnswers = 0
    let wrongEnds = 0
    let differing = 0
    for (const { id, replyId } of sent) {
      const answer = replyId ? await readAnswer(stored, replyId) : undefined
      const [message] = await stored.all<{ sessionId: string }>(
        `SELECT session_id AS "sessionId" FROM messages WHERE id = ?`,
        [id],
      )
      if (!message || !answer) {
        goneSends++
        continue
      }
      if (answer.added !== answer.content || !answer.isWhole || answer.ends !== 1) tornAnswers++
      if (answer.status === 'INTERRUPTED') interrupted++
      const mayBeCut = longest.some((one) => one.replyId === replyId)
      if (answer.status !== 'COMPLETE' && !(mayBeCut && answer.status === 'INTERRUPTED')) wrongEnds++
      for (const follower of followers)
        if (follower.sessionId === message.sessionId && follower.texts.get(replyId!) !== answer.content) differing++
    }
    for (const sessionId of sessionIds) {
      const others = (await readOthers(stored, sessionId)).join()
      for (const follower of followers)
        if (follower.sessionId === sessionId && follower.others.join() !== others) differing++
    }
    const closedWith1012 = sumOf(followers, ({ closeCodes }) => closeCodes.get(1012) ?? 0)
    const closedOtherwise = sumOf(followers, ({ closeCodes }) =>
      [...closeCodes].reduce((sum, [code, count]) => sum + (code === 1012 ? 0 : count), 0),
    )
    return [
      tried('nodes ended and started', exits.length),
      tried('followers', followers.length),
      tried('sends', sent.length, 5),
      tried('answers longer than the time to end, interrupted', interrupted),
      tried('sockets closed with 1012', closedWith1012),
      told('closed otherwise', closedOtherwise),
      told('slowest stop in seconds', slowestStopMs / 1000),
      never('exits other than 0', exits.filter((exit) => exit !== 0).length),
      never('followers whose text or log differs from what is stored', differing),
      never('acknowledged sends that are gone', goneSends),
      never('answers whose deltas differ from them, or without one end', tornAnswers),
      never('short answers that were cut', wrongEnds),
      never(`clients not caught up ${caughtUpWithinMs / 1000} s later`, behind),
      ...Object.entries(faultsOf(followers)).map(([name, value]) => never(name, value)),
    ]
  },
)
