import { setTimeout as delay } from 'node:timers/promises'
import { signIn } from '../../tests/support/clients.ts'
import { createSession, mutate, send } from '../../tests/support/operations.ts'
import { startModel } from '../support/model.ts'
import { never, promise, told, tried } from '../support/promise.ts'
import { startCluster } from '../support/serverNode.ts'
import { openStored, readAnswer } from '../support/stored.ts'

export const stopStops = promise(
  12,
  'Stop stops',
  { short: { stops: 6 }, usual: { stops: 60 }, long: { stops: 500 } },
  async (attack, { stops }) => {
    const fake = await startModel(attack)
    const env = { LOCAL_BASE_URL: fake.url }
    const { nodes, databaseUrl } = await startCluster(attack, [env, env])
    const stored = await openStored(databaseUrl)
    attack.defer(() => stored.close())
    const ada = await signIn(nodes[0]!)
    const sessionId = await createSession(nodes[0]!, ada)
    const tally = { early: 0, notStopped: 0, wentOn: 0, refused: 0, onOther: 0, beforeFirst: 0 }
    const times: number[] = []
    for (let n = 0; n < stops; n++) {
      const isOther = n % 3 !== 0
      if (isOther) tally.onOther++
      // some are stopped before the model has said a word
      const isSilent = attack.random.chance(0.3)
      if (isSilent) tally.beforeFirst++
      const words = `tokens=5000 rate=100 ${isSilent ? 'delay=60000' : ''}`
      const { replyId, generationId } = await send(nodes[0]!, ada, sessionId, `stop ${n} [[${words}]]`)
      const request = await fake.waitForRequest(n)
      await delay(attack.random.int(0, 150))
      const askedAt = performance.now()
      const answer = await mutate<{ generation: { status: string } }>(
        nodes[isOther ? 1 : 0]!,
        ada,
        'stopGeneration',
        { generationId },
        'generation { status }',
      )
      times.push(performance.now() - askedAt)
      if (request.closedAt === undefined) tally.early++
      if (answer.__typename !== 'StopGenerationSuccess') tally.refused++
      const stopped = await readAnswer(stored, replyId)
      if (stopped?.status !== 'STOPPED' || stopped.ends !== 1) tally.notStopped++
      const { sent } = request
      await delay(20)
      if (request.sent !== sent || (await readAnswer(stored, replyId))?.content !== stopped?.content) tally.wentOn++
    }
    times.sort((a, b) => a - b)
    return [
      tried('stops', stops),
      tried('of those from another node', tally.onOther),
      told('of those before the first token', tally.beforeFirst),
      told('slowest in ms', times.at(-1)!),
      never("acknowledged before the provider's connection was closed", tally.early),
      never('refused', tally.refused),
      never('not STOPPED once when acknowledged', tally.notStopped),
      never('that went on afterwards', tally.wentOn),
    ]
  },
)
