import { createHash, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { buildSchema, type GraphQLInputObjectType } from 'graphql'
import { gql, openSocket, signIn, type Person } from '../../tests/support/clients.ts'
import { createSession, send } from '../../tests/support/operations.ts'
import { storageKinds, type StorageKind } from '../../tests/support/storages.ts'
import { garble, naughtyStrings, spoil } from '../support/badInputs.ts'
import { startModel } from '../support/model.ts'
import { never, promise, told, tried, type Attack, type Count } from '../support/promise.ts'
import { databaseFor, startNode, type ServerNode } from '../support/serverNode.ts'
import { openStored, type Stored } from '../support/stored.ts'
import { until } from '../support/until.ts'

const schema = buildSchema(readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8'))
/** What no answer may tell: a stack, SQL, a path, or words of the parts that it is made of. */
const leak =
  /\bat \S+ \(|\.ts:\d|node_modules|SQLITE|syntax error at or near|invalid input syntax|SELECT |INSERT |\/server\/|Unexpected error/
const closesForBadFrames = new Set([1002, 1003, 1007, 1009, 4400, 4401, 4403, 4406, 4408, 4409, 4429])

export const badInput = promise(
  8,
  'Bad input gets a typed error and changes nothing',
  { short: { each: 120 }, usual: { each: 1_500 }, long: { each: 20_000 } },
  async (attack, { each }) => {
    const counts: Count[] = []
    for (const kind of storageKinds) counts.push(...(await attackOn(attack, kind, each)))
    return counts
  },
)

interface Tally {
  fives: number
  unmasked: number
  accepted: number
  oddCloses: number
  examples: string[]
}

async function attackOn(attack: Attack, kind: StorageKind, each: number): Promise<Count[]> {
  const fake = await startModel(attack)
  const databaseUrl = await databaseFor(attack, kind)
  const node = await startNode(attack, { DATABASE_URL: databaseUrl, LOCAL_BASE_URL: fake.url })
  let exits = 0
  void node.exited.then(() => exits++)
  const stored = await openStored(databaseUrl)
  attack.defer(() => stored.close())
  const ada = await signIn(node)
  const sessionId = await createSession(node, ada, { title: 'Stays as it is' })
  const { sentId, generationId } = await send(node, ada, sessionId, 'Stays as it is [[tokens=3]]')
  await until(async () => (await stored.all(`SELECT id FROM generations WHERE ended_at IS NULL`)).length === 0, 10_000)
  const before = await digest(stored)
  const tally: Tally = { fives: 0, unmasked: 0, accepted: 0, oddCloses: 0, examples: [] }
  const valid = validInputs(sessionId, sentId, generationId, ada)

  for (let n = 0; n < each; n++) await sendBadMutation(attack, node, ada, valid, tally)
  for (let n = 0; n < each / 2; n++) await sendBadQuery(attack, node, ada, sessionId, tally)
  for (let n = 0; n < each / 2; n++) await sendBadBody(attack, node, ada, tally)
  const frames = Math.ceil(each / 10)
  for (let n = 0; n < frames; n++) await sendBadFrame(attack, node, ada, sessionId, tally)

  await gql(node, '{ health { status } }')
  const after = await digest(stored)
  const changed = Object.keys(before).filter((table) => before[table] !== after[table])
  for (const example of tally.examples.slice(0, 10)) console.error(example)
  if (changed.length > 0) console.error(`Changed: ${changed.join(', ')}`)
  return [
    tried(`${kind}: bad inputs`, each),
    tried('bad queries and bodies', each),
    tried('bad frames', frames),
    told('asked of the model', fake.requests.length - 1),
    never('answers with 5xx', tally.fives),
    never('unmasked or untyped errors', tally.unmasked),
    never('bad inputs that were accepted', tally.accepted),
    never('sockets closed as if it were our fault', tally.oddCloses),
    never('tables changed', changed.length),
    never('process exits', exits),
  ]
}

function validInputs(sessionId: string, sentId: string, generationId: string, ada: Person): Record<string, object> {
  return {
    createSession: { title: 'New', settings: { temperature: 0.5 }, metadata: {} },
    updateSession: { sessionId, title: 'Other', settings: { topP: 0.5 } },
    deleteSessions: { sessionIds: [sessionId] },
    inviteToSession: { sessionId, role: 'MEMBER', expiresInSeconds: 60, maxUses: 1 },
    joinSession: { token: 'there is no such token' },
    leaveSession: { sessionId },
    removeParticipant: { sessionId, userId: randomUUID() },
    changeParticipantRole: { sessionId, userId: ada.id, role: 'VIEWER' },
    sendMessage: { sessionId, content: 'Hello', id: randomUUID(), parentId: sentId, respond: false, settings: {} },
    stopGeneration: { generationId: generationId.replace(/^./, 'f') },
    setTyping: { sessionId, isTyping: false },
    signInAsGuest: { name: 'Grace' },
  }
}

async function sendBadMutation(
  { random }: Attack,
  node: ServerNode,
  ada: Person,
  valid: Record<string, object>,
  tally: Tally,
): Promise<void> {
  const name = random.pick(Object.keys(valid))
  const type = `${name[0]!.toUpperCase()}${name.slice(1)}Input`
  const input = spoil(schema.getType(type) as GraphQLInputObjectType, valid[name] as Record<string, unknown>, random)
  const query = `mutation ($input: ${type}!) { ${name}(input: $input) { __typename ... on Error { code message } } }`
  const body = await ask(node, ada, JSON.stringify({ query, variables: { input } }), tally)
  const result = (body?.data as Record<string, { __typename: string }> | null | undefined)?.[name]
  if (!result || result.__typename.endsWith('Error')) return
  tally.accepted++
  tally.examples.push(`accepted: ${name} ${JSON.stringify(input).slice(0, 300)}`)
}

async function sendBadQuery(
  { random }: Attack,
  node: ServerNode,
  ada: Person,
  sessionId: string,
  tally: Tally,
): Promise<void> {
  const text = random.pick(naughtyStrings)
  const number = random.pick([-1, 0, 201, 2 ** 31 - 1, 2 ** 31, 1.5, -0.5])
  const [query, variables] = random.pick<[string, object]>([
    ['query ($id: ID!) { session(id: $id) { title } }', { id: text }],
    ['query ($id: ID!) { message(id: $id) { content } }', { id: text }],
    ['query ($id: ID!) { node(id: $id) { id } }', { id: text }],
    ['query ($n: Int) { sessions(first: $n) { edges { node { id } } } }', { n: number }],
    ['query ($t: String) { sessions(after: $t, first: 5) { edges { node { id } } } }', { t: text }],
    ['query ($t: String) { sessions(before: $t, last: 5) { edges { node { id } } } }', { t: text }],
    ['query ($t: String) { sessions(filter: { title: $t, provider: $t }) { edges { node { id } } } }', { t: text }],
    [
      'query ($id: ID!, $t: String, $n: Int) { session(id: $id) { messages(first: $n, after: $t) { edges { node { id } } } } }',
      { id: sessionId, t: text, n: number },
    ],
    ['subscription ($id: ID!, $n: Int) { sessionEvents(sessionId: $id, after: $n) { seq } }', { id: text, n: number }],
    ['subscription ($id: ID!) { messageDeltas(messageId: $id, offset: -1) { seq } }', { id: text }],
    [`{ ${'viewer { '.repeat(random.int(1, 40))}id${' }'.repeat(random.int(1, 40))} }`, {}],
    [`{ ${Array.from({ length: random.int(1, 60) }, (_, n) => `a${n}: health { status }`).join(' ')} }`, {}],
    [`query @nope { ${text.slice(0, 50)} }`, {}],
  ])
  await ask(node, ada, JSON.stringify({ query, variables }), tally)
}

async function sendBadBody({ random }: Attack, node: ServerNode, ada: Person, tally: Tally): Promise<void> {
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
    () => '['.repeat(5_000),
    () => `{"query":"${'x'.repeat(random.int(10, 20) * 100_000)}"}`,
  ])()
  const type = random.pick([
    'application/json',
    'application/json',
    'application/json',
    'text/plain',
    '',
    'multipart/form-data',
  ])
  await ask(node, ada, body, tally, type)
}

async function ask(node: ServerNode, { token }: Person, body: string, tally: Tally, type = 'application/json') {
  const response = await fetch(`${node.url}/graphql`, {
    method: 'POST',
    headers: {
      ...(type ? { 'content-type': type } : {}),
      accept: 'application/json, text/event-stream',
      authorization: `Bearer ${token}`,
    },
    body,
    signal: AbortSignal.timeout(10_000),
  })
  const text = await response.text().catch((error: unknown) => {
    throw new Error(`The answer to ${body.slice(0, 400)} did not end`, { cause: error })
  })
  if (response.status >= 500) tally.fives++
  if (leak.test(text) || text.includes('"INTERNAL"') || text.includes('INTERNAL_SERVER_ERROR')) tally.unmasked++
  else if (response.status < 500) return read(text)
  tally.examples.push(`${response.status} ${text.slice(0, 400)} for ${body.slice(0, 400)}`)
  return undefined
}

function read(text: string): { data?: unknown } | undefined {
  try {
    return JSON.parse(text) as { data?: unknown }
  } catch {
    return undefined
  }
}

async function sendBadFrame(
  { random }: Attack,
  node: ServerNode,
  ada: Person,
  sessionId: string,
  tally: Tally,
): Promise<void> {
  const query = 'subscription ($s: ID!, $a: Int) { sessionEvents(sessionId: $s, after: $a) { seq } }'
  const subscribe = JSON.stringify({
    id: '1',
    type: 'subscribe',
    payload: { query, variables: { s: sessionId, a: 0 } },
  })
  const frame = random.pick<() => string | Buffer>([
    () => garble(subscribe, random),
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
  const token = random.chance(0.8) ? ada.token : undefined
  const socket = await openSocket(node, { token })
  socket.socket.send(frame)
  // either it is closed for it, or it still answers
  const code = await Promise.race([
    socket.closed.then((closed) => closed.code),
    token
      ? socket.roundTrip().then(
          () => 0,
          async () => (await socket.closed).code,
        )
      : delay(50).then(() => 0),
  ])
  if (code !== 0 && !closesForBadFrames.has(code)) {
    tally.oddCloses++
    tally.examples.push(`closed with ${code} for ${String(frame).slice(0, 300)}`)
  }
  for (const { raw } of socket.received)
    if (leak.test(raw) || raw.includes('"INTERNAL"')) {
      tally.unmasked++
      tally.examples.push(`${raw.slice(0, 300)} for ${String(frame).slice(0, 300)}`)
    }
  await socket.close()
}

/** What people wrote, for each table; not who was here when, nor who tried what. */
async function digest(stored: Stored): Promise<Record<string, string>> {
  const tables: Record<string, string> = {
    users: 'id, subject, name, is_admin, created_at',
    ...Object.fromEntries(
      ['sessions', 'session_logs', 'session_events', 'participants', 'invitations', 'messages', 'generations'].map(
        (table) => [table, '*'],
      ),
    ),
    usage_records: '*',
  }
  const digests: Record<string, string> = {}
  for (const [table, columns] of Object.entries(tables)) {
    const rows = await stored.all(`SELECT ${columns} FROM ${table}`)
    const lines = rows.map((row) => JSON.stringify(row)).sort()
    digests[table] = createHash('sha256').update(lines.join('\n')).digest('hex')
  }
  return digests
}
