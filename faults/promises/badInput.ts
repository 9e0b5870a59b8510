import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { buildSchema } from 'graphql'
import { openSocket } from '../../tests/support/clients.ts'
import { storageKinds, type StorageKind } from '../../tests/support/storages.ts'
import { Asker, closesForBadFrames, Fault } from '../support/badAsking.ts'
import { anyCase } from '../support/badCases.ts'
import { garble, naughtyStrings } from '../support/badInputs.ts'
import { attackInputs, compared } from '../support/inputAttack.ts'
import { startModel } from '../support/model.ts'
import { never, promise, told, tried, type Attack, type Count } from '../support/promise.ts'
import { databaseFor, startNode, type ServerNode } from '../support/serverNode.ts'
import { openStored } from '../support/stored.ts'

const schema = buildSchema(readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8'))

export const badInput = promise(
  8,
  'Bad input gets a typed error and changes nothing',
  {
    short: { cases: 600, bodies: 150, frames: 20 },
    usual: { cases: 10_000, bodies: 1_500, frames: 150 },
    long: { cases: 100_000, bodies: 20_000, frames: 2_000 },
  },
  async (attack, amounts) => {
    const counts: Count[] = []
    for (const kind of storageKinds) counts.push(...(await attackOn(attack, kind, amounts)))
    return counts
  },
)

interface Amounts {
  cases: number
  bodies: number
  frames: number
}

async function attackOn(attack: Attack, kind: StorageKind, { cases, bodies, frames }: Amounts): Promise<Count[]> {
  const fake = await startModel(attack)
  const databaseUrl = await databaseFor(attack, kind)
  const node = await startNode(attack, { DATABASE_URL: databaseUrl, LOCAL_BASE_URL: fake.url })
  let exits = 0
  void node.exited.then(() => exits++)
  const stored = await openStored(databaseUrl)
  attack.defer(() => stored.close())
  const isSqlite = kind === 'sqlite'
  const seed = attack.random.int(0, 2 ** 30)
  const verdict = await attackInputs({ server: node, stored, isSqlite, schema, cases, seed, withinMs: 3_600_000 })

  const asker = new Asker(node, anyCase(schema).fields, verdict)
  const token = await asker.token()
  const noting = async (sending: Promise<unknown>): Promise<void> => {
    const fault = await sending.then(
      () => undefined,
      (error: unknown) => error,
    )
    if (fault instanceof Fault) verdict.reports.push(fault.message)
    else if (fault) throw fault
  }
  const { changed } = await compared({ stored, isSqlite }, asker, async () => {
    for (let n = 0; n < bodies; n++) await noting(sendBadBody(attack, asker, token))
    for (let n = 0; n < frames; n++) await noting(sendBadFrame(attack, node, asker, token))
    return {}
  })
  await asker.close()
  for (const report of verdict.reports.slice(0, 10)) console.error(report)
  if (changed.length > 0) console.error(`Bodies and frames changed: ${changed.join(', ')}`)
  return [
    tried(`${kind}: bad inputs`, verdict.tried, cases),
    tried('of them refused, with the tables compared', verdict.compared, cases / 2),
    told('that came as far as a resolver', verdict.resolved),
    tried('bad bodies', bodies),
    tried('bad frames', frames),
    never('answers with 5xx', verdict.fives),
    never('unmasked errors', verdict.unmasked),
    never('untyped errors', verdict.untyped),
    never('bad inputs that were accepted', verdict.accepted),
    never('sockets closed as if it were our fault', verdict.oddCloses),
    never('tables changed', verdict.changed + changed.length),
    never('process exits', exits),
  ]
}

async function sendBadBody({ random }: Attack, asker: Asker, token: string): Promise<void> {
  const good = JSON.stringify({ query: 'query Who { viewer { id name } }', operationName: 'Who', variables: {} })
  const body = random.pick([
    () => garble(good, random),
    () => '',
    () => '[]',
    () => `[${good},${good}]`,
    () => 'null',
    () => '"text"',
    () => '{"query":5}',
    () => '{"query":"{ viewer { id } }","variables":[]}',
    () => '{"query":"{ viewer { id } }","operationName":{}}',
    () => '['.repeat(100_000),
    () => `{"query":"${'x'.repeat(random.int(10, 20) * 100_000)}"}`,
  ])()
  const types = ['application/json', 'application/json', 'application/json', 'text/plain', 'multipart/form-data']
  const accept = random.pick(['application/json', 'text/event-stream'])
  await asker.post(body, { 'content-type': random.pick(types), accept }, token)
}

async function sendBadFrame({ random }: Attack, node: ServerNode, asker: Asker, token: string): Promise<void> {
  const query = 'subscription ($s: ID!, $a: Int) { sessionEvents(sessionId: $s, after: $a) { seq } }'
  const variables = { s: random.pick(naughtyStrings), a: 0 }
  const frame = random.pick<() => string | Buffer>([
    () => garble(JSON.stringify({ id: '1', type: 'subscribe', payload: { query, variables } }), random),
    () => Buffer.from(Array.from({ length: random.int(1, 200) }, () => random.int(0, 255))),
    () => random.pick(naughtyStrings),
    () =>
      JSON.stringify({ type: random.pick(['nope', 'next', 'connection_init', 'connection_ack', 'constructor', '']) }),
    () => JSON.stringify({ id: random.pick([5, null, {}, '']), type: 'subscribe', payload: { query } }),
    () =>
      JSON.stringify({ id: '1', type: 'subscribe', payload: random.pick<unknown>([null, 5, [], {}, { query: 5 }]) }),
    () => 'x'.repeat(70_000),
    () => '['.repeat(60_000),
  ])()
  const isSignedIn = random.chance(0.8)
  const socket = await openSocket(node, { token: isSignedIn ? token : undefined })
  socket.socket.send(frame)
  // either it is closed for it, or it still answers
  const code = await Promise.race([
    socket.closed.then((closed) => closed.code),
    isSignedIn
      ? socket.roundTrip().then(
          () => 0,
          async () => (await socket.closed).code,
        )
      : delay(50).then(() => 0),
  ])
  if (code !== 0 && !closesForBadFrames.has(code))
    asker.fault('oddCloses', `closed with ${code} for ${String(frame).slice(0, 300)}`)
  for (const { raw } of socket.received) asker.check(200, raw, String(frame))
  await socket.close()
}
