import { setTimeout as delay } from 'node:timers/promises'
import { signToken } from '../../tests/support/app.ts'
import { gql, openSocket, post, signIn, type BareSocket, type Person } from '../../tests/support/clients.ts'
import { createSession, join, mutate, send } from '../../tests/support/operations.ts'
import { startModel } from '../support/model.ts'
import { never, promise, told, tried, type Attack } from '../support/promise.ts'
import { startCluster, type ServerNode } from '../support/serverNode.ts'
import { until } from '../support/until.ts'

type Role = 'owner' | 'member' | 'viewer' | 'removed' | 'stranger' | 'anonymous'
const readers: readonly Role[] = ['owner', 'member', 'viewer']
const graceMs = 1_000

const readings = [
  `query ($s: ID!) { session(id: $s) { title settings { systemPrompt } metadata owner { name } participants { user { name } }
    messages(last: 50) { edges { node { content metadata author { name } } } } } }`,
  'query ($s: ID!) { node(id: $s) { id ... on Session { title owner { name } messages(last: 50) { edges { node { content } } } } } }',
  'query ($m: ID!) { message(id: $m) { content session { title } author { name } } }',
  'query ($m: ID!) { node(id: $m) { ... on Message { content session { title } } } }',
  'query ($r: ID!) { message(id: $r) { content generation { message { content } } parent { content } } }',
  'query ($g: ID!) { node(id: $g) { ... on Generation { message { content session { title } } } } }',
  'query ($o: ID!) { node(id: $o) { ... on User { name } } }',
  'query { sessions(first: 200) { edges { node { title metadata owner { name } messages(last: 50) { edges { node { content } } } } } } }',
  'query ($t: String) { sessions(first: 10, filter: { title: $t }) { edges { node { title } } } }',
]

const events = `__typename seq ... on MessageAdded { message { content session { title } } } ... on MessageDelta { text }
  ... on GenerationEnded { message { content } }`
const followings = [
  `subscription ($s: ID!) { sessionEvents(sessionId: $s) { ${events} } }`,
  `subscription ($s: ID!) { sessionEvents(sessionId: $s, after: 0) { ${events} } }`,
  'subscription ($r: ID!) { messageDeltas(messageId: $r) { text } }',
  'subscription ($s: ID!) { typing(sessionId: $s) { user { name } } }',
]

/** What nobody but the owner may do, and what takes writing; each with the fields of its input. */
const ownersOnly = ['updateSession', 'deleteSessions', 'inviteToSession', 'removeParticipant', 'changeParticipantRole']
const writersOnly = ['sendMessage', 'stopGeneration']

export const access = promise(
  6,
  "Nobody reads what isn't theirs",
  { short: { rounds: 1, removals: 2 }, usual: { rounds: 3, removals: 10 }, long: { rounds: 10, removals: 100 } },
  async (attack, { rounds, removals }) => {
    const fake = await startModel(attack)
    const env = { LOCAL_BASE_URL: fake.url }
    const { nodes } = await startCluster(attack, [env, env])
    const tally = {
      seen: 0,
      foreign: 0,
      blind: 0,
      writes: 0,
      allowedWrites: 0,
      events: 0,
      late: 0,
      unended: 0,
      expired: 0,
    }
    for (let n = 0; n < rounds; n++) await attackRoles(attack, nodes, tally)
    for (let n = 0; n < removals; n++) await attackRemoval(attack, nodes, tally)
    const expiries = Math.ceil(removals / 5)
    for (let n = 0; n < expiries; n++) await attackExpiry(nodes, tally)
    return [
      tried('readings and followings by those who may', tally.seen),
      tried('by those who may not', tally.blind),
      tried('writings by those who may not', tally.writes),
      tried('removals in mid-stream', removals),
      tried('tokens that expired on an open socket', tally.expired),
      told('events before those ends', tally.events),
      never('answers with foreign bytes', tally.foreign),
      never('writings that were let through', tally.allowedWrites),
      never(`events more than ${graceMs / 1000} s after a removal or an expiry`, tally.late),
      never('followings that did not end with it', tally.unended),
    ]
  },
)

type Tally = Record<
  'seen' | 'foreign' | 'blind' | 'writes' | 'allowedWrites' | 'events' | 'late' | 'unended' | 'expired',
  number
>

async function attackRoles(attack: Attack, nodes: readonly ServerNode[], tally: Tally): Promise<void> {
  const secret = `secret${attack.random.int(1e8, 1e9)}`
  const anyNode = () => attack.random.pick(nodes)
  const people: Record<Role, Person> = {
    owner: await signIn(anyNode(), `${secret} owner`),
    member: await signIn(anyNode(), 'Member'),
    viewer: await signIn(anyNode(), 'Viewer'),
    removed: await signIn(anyNode(), 'Removed'),
    stranger: await signIn(anyNode(), 'Stranger'),
    anonymous: { id: '', name: '', token: '' },
  }
  const { owner } = people
  const sessionId = await createSession(anyNode(), owner, {
    title: `${secret} title`,
    settings: { systemPrompt: `${secret} prompt` },
    metadata: { secret },
  })
  await join(anyNode(), owner, people.member, sessionId)
  await join(anyNode(), owner, people.viewer, sessionId, 'VIEWER')
  await join(anyNode(), owner, people.removed, sessionId)
  await mutate(anyNode(), owner, 'removeParticipant', { sessionId, userId: people.removed.id })
  const { sentId, replyId, generationId } = await send(
    anyNode(),
    owner,
    sessionId,
    `${secret} [[tokens=200 rate=20 seed=${secret}]]`,
  )
  const variables = { s: sessionId, m: sentId, r: replyId, g: generationId, o: owner.id, t: secret }
  // the model's words are as secret as what was asked of it
  const begins = await until(async () => {
    const { message } = await gql<{ message: { content: string } }>(
      anyNode(),
      'query ($r: ID!) { message(id: $r) { content } }',
      variables,
      owner,
    )
    return message.content.length > 0
  }, 20_000)
  if (!begins) throw new Error('The answer did not begin.')

  const sockets: { role: Role; socket: BareSocket }[] = []
  attack.defer(() => Promise.all(sockets.map(({ socket }) => socket.close())))
  for (const [role, { token }] of Object.entries(people) as [Role, Person][]) {
    const mayRead = readers.includes(role)
    for (const reading of readings) {
      const { body } = await post(anyNode(), reading, pick(reading, variables), { token: token || undefined })
      const isShown = JSON.stringify(body).includes(secret) || /\d+:[0-9a-f]{8} /.test(JSON.stringify(body))
      if (mayRead) tally.seen += Number(isShown)
      else tally.blind++
      if (isShown && !mayRead) tally.foreign++
      if (!isShown && mayRead) throw new Error(`${role} could not read: ${reading}\n${JSON.stringify(body)}`)
    }
    const socket = await openSocket(anyNode(), { token: token || null })
    sockets.push({ role, socket })
    for (const [index, following] of followings.entries())
      socket.subscribe(String(index), following, pick(following, variables))
    for (const name of [...ownersOnly, ...writersOnly]) {
      const isAllowed = role === 'owner' || (role === 'member' && writersOnly.includes(name))
      if (isAllowed) continue
      tally.writes++
      const input = inputOf(name, { sessionId, generationId, userId: people.viewer.id })
      const outcome = await mutate(anyNode(), { ...people[role] }, name, input).catch((error: Error) => ({
        __typename: error.message.includes('UNAUTHENTICATED') ? 'Refused' : `Unknown: ${error.message}`,
      }))
      if (!/Error$|^Refused$/.test(outcome.__typename)) tally.allowedWrites++
    }
  }
  await Promise.all(sockets.map(({ socket }) => socket.roundTrip()))
  await mutate(anyNode(), owner, 'setTyping', { sessionId, isTyping: true })
  await send(anyNode(), people.member, sessionId, `${secret} again`, { respond: false })
  const hears = ({ socket }: { socket: BareSocket }) =>
    socket.received.some(({ id, raw }) => id === '0' && raw.includes(`${secret} again`))
  const theirs = sockets.filter(({ role }) => readers.includes(role))
  if (!(await until(() => theirs.every(hears), 10_000))) throw new Error('Those who may did not hear of a message.')
  await delay(200)
  for (const { role, socket } of sockets) {
    const isShown = socket.received.some(({ raw }) => raw.includes(secret) || /\d+:[0-9a-f]{8} /.test(raw))
    if (readers.includes(role)) tally.seen += followings.length
    else tally.blind += followings.length
    if (isShown && !readers.includes(role)) tally.foreign++
  }
}

/** A member who follows on one node is removed on another while the model speaks. */
async function attackRemoval(attack: Attack, nodes: readonly ServerNode[], tally: Tally): Promise<void> {
  const [here, there] = attack.random.chance(0.5) ? nodes : nodes.toReversed()
  const owner = await signIn(here!, 'Owner')
  const member = await signIn(there!, 'Member')
  const sessionId = await createSession(here!, owner)
  await join(here!, owner, member, sessionId)
  const { replyId, generationId } = await send(here!, owner, sessionId, 'n [[tokens=1000 rate=100]]')
  const arrivals = await follow(attack, there!, member.token, { s: sessionId, r: replyId })
  await until(() => arrivals.times.length > 3, 10_000)
  await delay(attack.random.int(0, 300))
  await mutate(here!, owner, 'removeParticipant', { sessionId, userId: member.id })
  const removedAt = performance.now()
  await until(() => performance.now() > removedAt + graceMs + 500, graceMs + 1_000)
  tally.events += arrivals.times.length
  tally.late += arrivals.times.filter((at) => at > removedAt + graceMs).length
  const forbidden = arrivals.socket.received.filter(({ raw }) => raw.includes('FORBIDDEN')).length
  if (forbidden < 2) tally.unended++
  await arrivals.socket.close()
  await mutate(here!, owner, 'stopGeneration', { generationId })
}

async function attackExpiry(nodes: readonly ServerNode[], tally: Tally): Promise<void> {
  const [here, there] = nodes
  const owner = await signIn(here!, 'Owner')
  const sub = `expiring-${Math.random()}`
  const lasting = await signToken({ sub, name: 'Member' })
  const { viewer } = await gql<{ viewer: { id: string } }>(there!, '{ viewer { id } }', {}, { token: lasting })
  const sessionId = await createSession(here!, owner)
  await join(here!, owner, { id: viewer.id, name: 'Member', token: lasting }, sessionId)
  const { replyId, generationId } = await send(here!, owner, sessionId, 'n [[tokens=1000 rate=100]]')
  const token = await signToken({ sub, name: 'Member' }, 2)
  const endsAt = performance.now() + 2_000
  const arrivals = await follow(undefined, there!, token, { s: sessionId, r: replyId })
  const isClosed = await Promise.race([
    arrivals.socket.closed.then(({ code }) => code === 4403),
    delay(2_000 + graceMs + 500).then(() => false),
  ])
  tally.expired++
  tally.events += arrivals.times.length
  tally.late += arrivals.times.filter((at) => at > endsAt + graceMs).length
  if (!isClosed || arrivals.times.length === 0) tally.unended++
  await arrivals.socket.close()
  await mutate(here!, owner, 'stopGeneration', { generationId })
}

/** Follows a session and an answer, and notes when something of it comes. */
async function follow(attack: Attack | undefined, node: ServerNode, token: string, variables: Record<string, string>) {
  const socket = await openSocket(node, { token })
  attack?.defer(() => socket.close())
  const times: number[] = []
  socket.socket.on('message', (data) => {
    if (String(data as Buffer).includes('"data":{')) times.push(performance.now())
  })
  for (const [index, following] of followings.slice(1, 3).entries())
    socket.subscribe(String(index), following, pick(following, variables))
  return { socket, times }
}

/** Those variables that an operation declares. */
const pick = (operation: string, variables: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(variables).filter(([name]) => operation.includes(`$${name}:`)))

function inputOf(
  name: string,
  ids: { sessionId: string; generationId: string; userId: string },
): Record<string, unknown> {
  const { sessionId, generationId, userId } = ids
  if (name === 'deleteSessions') return { sessionIds: [sessionId] }
  if (name === 'stopGeneration') return { generationId }
  if (name === 'sendMessage') return { sessionId, content: 'Not mine' }
  if (name === 'updateSession') return { sessionId, title: 'Not mine' }
  if (name === 'removeParticipant') return { sessionId, userId }
  if (name === 'changeParticipantRole') return { sessionId, userId, role: 'MEMBER' }
  return { sessionId }
}
