import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { buildSchema, type GraphQLSchema } from 'graphql'
import { rootFields, type Row, type Rule, type Verdict } from '../../server/guards/accessTable.ts'
import { gql, openSocket, signIn, type BareSocket, type GraphqlAnswer, type Person } from './clients.ts'
import { signToken } from './app.ts'
import { fullOperation, type FullOperation } from './fullOperation.ts'
import { createSession, join, mutate, readMessage, send } from './operations.ts'

/** Everyone whom the table of access tells apart, and a removed one beside a stranger. */
export const roles = ['owner', 'member', 'viewer', 'removed', 'stranger', 'anonymous', 'admin'] as const
export type Role = (typeof roles)[number]
export const participants: readonly Role[] = ['owner', 'member', 'viewer']

export const transports = ['POST', 'SSE', 'WebSocket'] as const
export type Transport = (typeof transports)[number]

interface Server {
  url: string
  port: number
}

/** What a server needs so that operations may ask for everything there is. */
export const roomy = { MAX_QUERY_TOKENS: '10000', MAX_QUERY_COST: '1000000', MAX_SOCKETS_PER_USER: '100000' }

export const printedSchema = (): GraphQLSchema =>
  buildSchema(readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8'))

/** What the table says to someone in this role. */
export function verdictOf({ rule }: { rule: Rule }, role: Role): Verdict {
  const { anonymous, outsider, VIEWER, MEMBER, OWNER, admin } = rule
  const verdicts = { anonymous, owner: OWNER, member: MEMBER, viewer: VIEWER, removed: outsider, stranger: outsider }
  return { ...verdicts, admin }[role]
}

/** A session that was used, and someone in each role to it. */
export interface World {
  people: Record<Role, Person>
  sessionId: string
  sentId: string
  replyId: string
  generationId: string
  /** Another session of the same three, that its owner may hand over. */
  handedOverId: string
  /** An invitation that is used up. */
  invitation: string
  /** What nobody but the participants may be shown: what was said, and ids and names. */
  words: string
  marks: string[]
  /** What the owner said in another session, for nobody else at all. */
  apart: string
}

const nobody: Person = { id: '', name: '', token: '' }

/** @param at gives the server for each call, e.g. another node each time */
export async function makeWorld(at: () => Server, unique: string): Promise<World> {
  const [secret, name] = [`secret${unique}`, `called${unique}`]
  const [owner, member, viewer, removed, stranger] = await Promise.all([
    signIn(at(), `${name} owner`),
    signIn(at(), `${name} member`),
    signIn(at(), `${name} viewer`),
    signIn(at(), 'Removed'),
    signIn(at(), 'Stranger'),
  ])
  const adminToken = await signToken({ sub: `admin-${unique}`, name: 'Admin', admin: true })
  const { viewer: known } = await gql<{ viewer: { id: string } }>(at(), '{ viewer { id } }', {}, { token: adminToken })
  const admin = { id: known.id, name: 'Admin', token: adminToken }
  const sessionId = await createSession(at(), owner, {
    title: `${secret} title`,
    settings: { systemPrompt: `${secret} prompt` },
    metadata: { secret },
  })
  await join(at(), owner, member, sessionId)
  await join(at(), owner, viewer, sessionId, 'VIEWER')
  const handedOverId = await createSession(at(), owner, { title: `${secret} handed over` })
  await join(at(), owner, member, handedOverId)
  await join(at(), owner, viewer, handedOverId, 'VIEWER')
  await send(at(), owner, handedOverId, `${secret} there`, { respond: false })
  const invited = await mutate<{ token: string }>(at(), owner, 'inviteToSession', { sessionId, maxUses: 1 }, 'token')
  await mutate(at(), removed, 'joinSession', { token: invited.token! })
  await mutate(at(), owner, 'removeParticipant', { sessionId, userId: removed.id })
  const sent = await send(at(), owner, sessionId, `${secret} question [[tokens=5 seed=${secret}]]`)
  const apart = `apart${unique}`
  await send(at(), owner, await createSession(at(), owner, { title: apart }), apart, { respond: false })
  while ((await readMessage(at(), owner, sent.replyId)).status !== 'COMPLETE') await delay(10)
  const marks = [
    name,
    sessionId,
    handedOverId,
    sent.sentId,
    sent.replyId,
    sent.generationId,
    owner.id,
    member.id,
    viewer.id,
  ]
  const people = { owner, member, viewer, removed, stranger, admin, anonymous: nobody }
  return { people, sessionId, handedOverId, ...sent, invitation: invited.token!, words: secret, marks, apart }
}

/** The words of the fake model, whatever it was asked. */
const modelsWords = /\d+:[0-9a-f]{8} /

/** What of an answer is only for those who take part, but for what was in the question. */
export function foreignIn(world: World, raw: string, { variables }: FullOperation, isNoted = false): string[] {
  const asked = JSON.stringify(variables)
  // the audit log tells who did what to what, and never what was said
  const secrets = isNoted ? [world.words] : [world.words, ...world.marks]
  const found = secrets.filter((secret) => raw.includes(secret) && !asked.includes(secret))
  return modelsWords.test(raw) ? [...found, 'words of the model'] : found
}

/** One root field, or one of the ways to ask it, and how it is asked in a world. */
export interface Attempt extends FullOperation {
  action: string
  field: string
  kind: 'query' | 'mutation' | 'subscription'
  row: Row
}

/** Changes that nothing else could be tried after. */
const last = [
  ...[
    'updateViewer',
    'changeParticipantRole',
    'removeParticipant',
    'leaveSession',
    'deleteSessions',
    'transferSession',
  ],
  'signOut',
]

/** Every row of the table, asked for whole. */
export function attemptsIn(schema: GraphQLSchema, world: World): Attempt[] {
  const kinds = { Query: 'query', Mutation: 'mutation', Subscription: 'subscription' } as const
  const attempts = Object.entries(kinds).flatMap(([type, kind]) =>
    Object.entries(rootFields[type as keyof typeof kinds]).map(([action, row]): Attempt => {
      const [, name, way] = /^(\w+)(?:\((.*)\))?$/.exec(action)!
      const field = schema.getRootType(kind as never)!.getFields()[name!]!
      const asked = fullOperation(
        schema,
        kind,
        field,
        given(world, name!, way),
        name === 'node' || name === 'nodes' ? (way ?? 'Session') : undefined,
      )
      return { action, field: name!, kind, row, ...asked }
    }),
  )
  return attempts.sort((a, b) => last.indexOf(a.field) - last.indexOf(b.field))
}

/** Arguments by their name; `way` is what stands in parentheses in the table. */
function given(world: World, field: string, way: string | undefined): Record<string, unknown> {
  const { replyId, generationId, people, invitation } = world
  const sessionId = field === 'transferSession' ? world.handedOverId : world.sessionId
  const ids = { Session: sessionId, Message: replyId, Generation: generationId, User: people.owner.id }
  const [, argument, value] = /^(\w+): (\w+)$/.exec(way ?? '') ?? []
  return {
    ...(field === 'session' && { id: sessionId }),
    ...(field === 'message' && { id: replyId }),
    ...(field === 'node' && { id: ids[(way ?? 'Session') as keyof typeof ids] }),
    ...(field === 'nodes' && { ids: Object.values(ids) }),
    sessionId,
    sessionIds: [sessionId],
    messageId: replyId,
    generationId,
    userId: people.viewer.id,
    role: field === 'inviteToSession' ? 'MEMBER' : 'VIEWER',
    token: invitation,
    respond: false,
    ...(field === 'sessionEvents' && { after: 0 }),
    ...(field === 'auditLog' && !way && { filter: { sessionId } }),
    offset: 0,
    first: 3,
    ...(argument && { [argument]: value }),
  }
}

export interface Answer {
  /** All that came. */
  raw: string
  results: GraphqlAnswer[]
}

/** Asks, and waits for the whole answer: a subscription must be one that ends by itself. */
export class Asker {
  readonly #at: () => Server
  readonly #sockets = new Map<string, BareSocket>()
  #count = 0

  constructor(at: () => Server) {
    this.#at = at
  }

  async ask(transport: Transport, { query, variables }: FullOperation, token: string): Promise<Answer> {
    if (transport === 'WebSocket') return this.#overSocket(query, variables, token)
    const accept = transport === 'SSE' ? 'text/event-stream' : 'application/json'
    const headers = { 'content-type': 'application/json', accept, ...(token && { authorization: `Bearer ${token}` }) }
    const body = JSON.stringify({ query, variables })
    const response = await fetch(`${this.#at().url}/graphql`, { method: 'POST', headers, body })
    const raw = await response.text()
    const texts = transport === 'SSE' ? [...raw.matchAll(/^data: (\{.*)$/gm)].map(([, text]) => text!) : [raw]
    return { raw, results: texts.map((text) => JSON.parse(text) as GraphqlAnswer) }
  }

  async #overSocket(query: string, variables: Record<string, unknown>, token: string): Promise<Answer> {
    let socket = this.#sockets.get(token)
    if (!socket || socket.socket.readyState !== socket.socket.OPEN)
      this.#sockets.set(token, (socket = await openSocket(this.#at(), { token: token || null })))
    const id = String(this.#count++)
    socket.subscribe(id, query, variables)
    const frames = await socket.until(id, ({ type }) => type === 'complete' || type === 'error')
    const results = frames
      .filter(({ type }) => type !== 'complete')
      .map(({ type, payload }) => (type === 'error' ? { errors: payload } : payload) as GraphqlAnswer)
    return { raw: frames.map(({ raw }) => raw).join('\n'), results }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#sockets.values()].map((socket) => socket.close()))
  }
}

/** What of an answer is not as the table has it, and what in it is foreign; both empty where all is well. */
export function judge(world: World, attempt: Attempt, role: Role, { raw, results }: Answer) {
  const verdict = verdictOf(attempt.row, role)
  const said = outcome(attempt, results)
  const asTold = verdict === 'yes' ? !isRefusal(attempt, said) : said === verdict
  const isNoted = attempt.field === 'auditLog' && verdict === 'yes'
  const foreign = participants.includes(role) ? [] : foreignIn(world, raw, attempt, isNoted)
  if (role !== 'owner' && raw.includes(world.apart)) foreign.push(world.apart)
  return {
    wrong: asTold ? [] : [`${role} got ${said} from ${attempt.action}, where the table says ${verdict}: ${raw}`],
    foreign: foreign.map((secret) => `${role} was shown ${secret} by ${attempt.action}: ${raw}`),
  }
}

/** What is about the session must be let through where the table says so; what is not may fail for reasons of its own. */
const isRefusal = ({ row }: Attempt, said: string): boolean =>
  row.rule.outsider === 'yes' ? said === 'UNAUTHENTICATED' : said !== 'yes'

/** `yes`, `null` or the code of what was answered. */
function outcome({ field }: Attempt, results: readonly GraphqlAnswer[]): string {
  const [result] = results
  const [error] = result?.errors ?? []
  if (error) return (error.extensions?.code as string | undefined) ?? error.message
  const value = result?.data?.[field] as { code?: string; __typename?: string } | null | undefined
  if (value === null) return 'null'
  return value?.__typename?.endsWith('Error') ? String(value.code) : 'yes'
}
