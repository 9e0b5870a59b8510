import { setTimeout as delay } from 'node:timers/promises'
import {
  Asker,
  attemptsIn,
  foreignIn,
  judge,
  makeWorld,
  participants,
  printedSchema,
  roles,
  roomy,
  transports,
  verdictOf,
  type Attempt,
  type Role,
  type World,
} from '../../tests/support/accessMatrix.ts'
import { signToken } from '../../tests/support/app.ts'
import { gql, openSocket, signIn } from '../../tests/support/clients.ts'
import { openFollowing, streams, type Following } from '../../tests/support/followings.ts'
import { createSession, join, mutate, send } from '../../tests/support/operations.ts'
import { startModel } from '../support/model.ts'
import { never, promise, told, tried, type Attack } from '../support/promise.ts'
import { startCluster, type Cluster, type ServerNode } from '../support/serverNode.ts'
import { openStored } from '../support/stored.ts'
import { changedTables, digestTables } from '../support/tables.ts'
import { until } from '../support/until.ts'

const graceMs = 1_000

const resuming = `subscription ($sessionId: ID!) { sessionEvents(sessionId: $sessionId, after: 0) {
  __typename seq ... on MessageDelta { text } } }`
const reading = 'subscription ($messageId: ID!) { messageDeltas(messageId: $messageId) { text } }'

export const access = promise(
  6,
  "Nobody reads what isn't theirs",
  { short: { rounds: 1, removals: 2 }, usual: { rounds: 3, removals: 10 }, long: { rounds: 10, removals: 100 } },
  async (attack, { rounds, removals }) => {
    const fake = await startModel(attack)
    const env = { LOCAL_BASE_URL: fake.url, ...roomy }
    const cluster = await startCluster(attack, [env, env])
    const { nodes } = cluster
    const tally: Tally = {
      ...{ answered: 0, refused: 0, blind: 0, foreign: 0, wrong: 0, changed: 0 },
      ...{ events: 0, late: 0, unended: 0, expired: 0 },
    }
    for (let n = 0; n < rounds; n++) await attackRoles(attack, cluster, tally)
    for (let n = 0; n < removals; n++) await attackRemoval(attack, nodes, tally)
    const expiries = Math.ceil(removals / 5)
    for (let n = 0; n < expiries; n++) await attackExpiry(nodes, tally)
    return [
      tried('questions of those who may', tally.answered),
      tried('of those who may not', tally.refused),
      tried('followings by those who may not', tally.blind),
      tried('removals in mid-stream', removals),
      tried('tokens that expired on an open socket', tally.expired),
      told('events before those ends', tally.events),
      never('answers with foreign bytes', tally.foreign),
      never('answers that are not as the table has it', tally.wrong),
      never('tables that refused operations changed', tally.changed),
      never(`events more than ${graceMs / 1000} s after a removal or an expiry`, tally.late),
      never('followings that did not end with it', tally.unended),
    ]
  },
)

type Tally = Record<
  'answered' | 'refused' | 'blind' | 'foreign' | 'wrong' | 'changed' | 'events' | 'late' | 'unended' | 'expired',
  number
>

/** Every row of the table by everyone, over every transport, on any node. */
async function attackRoles(attack: Attack, { nodes, databaseUrl }: Cluster, tally: Tally): Promise<void> {
  const anyNode = () => attack.random.pick(nodes)
  const world = await makeWorld(anyNode, String(attack.random.int(1e8, 1e9)))
  const asker = new Asker(anyNode)
  attack.defer(() => asker.close())
  const stored = await openStored(databaseUrl)
  const attempts = attemptsIn(printedSchema(), world)
  const before = await digestTables(stored, false)
  for (const role of roles)
    for (const transport of transports)
      for (const attempt of attempts) {
        const isRefused = verdictOf(attempt.row, role) !== 'yes'
        if (attempt.kind === 'subscription' && (transport === 'POST' || !isRefused)) continue
        if (attempt.kind === 'mutation' && !isRefused) continue
        const answer = await asker.ask(transport, attempt, world.people[role].token)
        const { wrong, foreign } = judge(world, attempt, role, answer)
        tally.foreign += foreign.length
        tally.wrong += wrong.length
        if (isRefused) tally.refused++
        else tally.answered++
      }
  tally.changed += changedTables(before, await digestTables(stored, false)).length
  await stored.close()
  await attackFollowings(attack, nodes, world, attempts, tally)
}

/** Everyone follows all there is, on any node, while the model and a member speak. */
async function attackFollowings(
  attack: Attack,
  nodes: readonly ServerNode[],
  world: World,
  attempts: readonly Attempt[],
  tally: Tally,
): Promise<void> {
  const anyNode = () => attack.random.pick(nodes)
  const { people, sessionId, words } = world
  const { replyId, generationId } = await send(
    anyNode(),
    people.owner,
    sessionId,
    `${words} [[tokens=300 rate=50 seed=${words}]]`,
  )
  const followed: { role: Role; attempt: Attempt; following: Following }[] = []
  attack.defer(() => Promise.all(followed.map(({ following }) => following.close())))
  for (const role of roles)
    for (const attempt of attempts.filter(({ kind }) => kind === 'subscription'))
      for (const transport of streams) {
        const asked = { ...attempt, variables: { ...attempt.variables } }
        if ('messageId' in asked.variables) asked.variables.messageId = replyId
        followed.push({
          role,
          attempt: asked,
          following: await openFollowing(anyNode(), transport, asked, people[role].token),
        })
      }
  await mutate(anyNode(), people.owner, 'setTyping', { sessionId, isTyping: true })
  await send(anyNode(), people.member, sessionId, `${words} again`, { respond: false })
  const theirs = followed.filter(
    ({ role, attempt }) => participants.includes(role) && attempt.field === 'sessionEvents',
  )
  if (!(await until(() => theirs.every(({ following }) => following.raw.includes(`${words} again`)), 20_000)))
    throw new Error('Those who may did not hear of a message.')
  await delay(200)
  // else its last words would seem to be what the next round's refusals changed
  await mutate(anyNode(), people.owner, 'stopGeneration', { generationId })
  for (const { role, attempt, following } of followed) {
    if (participants.includes(role)) continue
    tally.blind++
    tally.foreign += foreignIn(world, following.raw, attempt).length
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
  const { s: sessionId, r: messageId } = variables
  socket.subscribe('0', resuming, { sessionId })
  socket.subscribe('1', reading, { messageId })
  return { socket, times }
}
