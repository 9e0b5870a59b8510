import { Pool } from 'undici'
import { errorCodes } from '../../server/errors.ts'
import { signToken } from '../../tests/support/app.ts'
import {
  gql,
  openSocket,
  signIn,
  type BareSocket,
  type GraphqlAnswer,
  type Person,
  type ReceivedFrame,
} from '../../tests/support/clients.ts'
import { createSession, join, mutate, send } from '../../tests/support/operations.ts'
import type { AskedField } from './askedFields.ts'
import { operationOf, type Case } from './badCases.ts'
import { fitsAll, isUnstorable, written, type Known } from './badInputs.ts'

/** What must not happen, how often it did, and what for. */
export interface Tally {
  fives: number
  unmasked: number
  untyped: number
  accepted: number
  oddCloses: number
  /** Cases that a resolver has seen: that were answered, or refused with a code of ours. */
  resolved: number
}
export const noTally = (): Tally => ({ fives: 0, unmasked: 0, untyped: 0, accepted: 0, oddCloses: 0, resolved: 0 })

export class Fault extends Error {}

/** What no answer may tell: a stack, SQL, a path, or words of the parts that it is made of. */
const leak =
  /\bat \S+ \(|\.ts:\d|node_modules|SQLITE_|syntax error at or near|invalid input syntax|SELECT |INSERT INTO|\/server\/|Unexpected error|"INTERNAL"|INTERNAL_SERVER_ERROR/g
const codes: ReadonlySet<unknown> = new Set(errorCodes.filter((code) => code !== 'INTERNAL'))
export const closesForBadFrames = new Set([1002, 1003, 1007, 1009, 4400, 4401, 4403, 4406, 4408, 4409, 4429])

const json = { 'content-type': 'application/json', accept: 'application/json' }
const headersFor = ({ via }: Case): Record<string, string> => ({
  ...json,
  accept: via === 'stream' ? 'text/event-stream' : 'application/json',
})

interface Server {
  url: string
  port: number
}

interface Outcome {
  /** Whether a mutation was carried out. */
  isDone: boolean
}

/** Sends cases to a server, over connections that it keeps, as someone whose session is there at all times. */
export class Asker {
  readonly tally: Tally
  readonly #server: Server
  readonly #fields: ReadonlyMap<string, AskedField>
  readonly #pool: Pool
  readonly #from: { localAddress: string }
  #socket: Promise<BareSocket> | undefined
  readonly #sockets: Promise<BareSocket>[] = []
  #admin: Person | undefined
  #known: Promise<Known> | undefined
  #operations = 0

  /** @param address of this machine, e.g. 127.0.0.2, from which it asks: limits of an address are each one's own */
  constructor(server: Server, fields: ReadonlyMap<string, AskedField>, tally: Tally, address = '127.0.0.2') {
    this.#server = server
    this.#fields = fields
    this.tally = tally
    this.#from = { localAddress: address }
    this.#pool = new Pool(server.url, { connections: 16, ...this.#from })
  }

  /** @throws Fault where the answer is none that bad input may get */
  async ask(one: Case): Promise<Outcome> {
    const field = this.#fields.get(one.field)!
    const known = await (this.#known ??= this.#prepare())
    const [query, variables] = operationOf(field, one)
    const payload = written(JSON.stringify({ query, variables }), known)
    const token = one.by === 'admin' ? this.#admin!.token : undefined
    const mayBeSilent = field.operation === 'subscription'
    const answers =
      one.via === 'socket'
        ? await this.#overSocket(payload, token, mayBeSilent)
        : await this.post(payload, headersFor(one), token, mayBeSilent)
    const isDone = answers.some((answer) => isAnswered(answer, field))
    if (isDone || answers.some(({ errors }) => errors?.some(({ extensions }) => codes.has(extensions?.code))))
      this.tally.resolved++
    else if (answers.some(({ data }) => data != null)) this.tally.resolved++
    if (isDone && !(fitsAll(field.args, one.given) && (field.operation !== 'mutation' || !isUnstorable(one.given))))
      this.fault('accepted', `accepted: ${payload}`)
    if (!isDone || field.operation !== 'mutation') return { isDone: false }
    // it may have deleted the session, or signed us out
    this.#known = this.#known.then((before) => this.#prepare(before))
    return { isDone: true }
  }

  /** A request with any body; what comes back is checked as any answer is. */
  async post(
    body: string | Buffer,
    headers: Record<string, string> = json,
    token?: string,
    mayBeSilent = false,
  ): Promise<GraphqlAnswer[]> {
    const response = await this.#pool.request({
      path: '/graphql',
      method: 'POST',
      headers: { ...headers, ...(token ? { authorization: `Bearer ${token}` } : {}) },
      body,
      headersTimeout: 20_000,
      bodyTimeout: 20_000,
    })
    const isStream = String(response.headers['content-type']).startsWith('text/event-stream')
    const text = isStream ? await readStream(response.body, mayBeSilent) : await response.body.text()
    this.check(response.statusCode, text, String(body))
    try {
      if (!isStream) return [JSON.parse(text) as GraphqlAnswer]
      return [...text.matchAll(/^data: ([^\n]+)\n/gm)].map(([, data]) => JSON.parse(data!) as GraphqlAnswer)
    } catch {
      this.fault('untyped', `${response.statusCode} ${text.slice(0, 400)} for ${String(body).slice(0, 400)}`)
    }
  }

  async token(): Promise<string> {
    await (this.#known ??= this.#prepare())
    return this.#admin!.token
  }

  async close(): Promise<void> {
    // what is left would make the tables longer, which are compared again and again
    if (await this.#known?.catch(() => undefined)) await this.#deleteSessions()
    await this.#pool.destroy()
    for (const opening of this.#sockets) {
      const socket = await opening.catch(() => undefined)
      await socket?.close()
      // also what came too late to be waited for
      for (const { raw } of socket?.received ?? []) this.check(200, raw, raw.slice(0, 300))
    }
  }

  async #overSocket(payload: string, token: string | undefined, mayBeSilent: boolean): Promise<GraphqlAnswer[]> {
    // a frame that is too large closes its socket, and the answers to the others on it would be lost
    const isShared = token !== undefined && payload.length < 15_000
    const socket = isShared
      ? await this.#openSocket(token)
      : await openSocket(this.#server, { token: token ?? null, socket: this.#from })
    const id = String(++this.#operations)
    try {
      socket.send(`{"id":"${id}","type":"subscribe","payload":${payload}}`)
      const first: Promise<ReceivedFrame | undefined>[] = [socket.nextOf(id)]
      if (mayBeSilent) {
        socket.subscribe(`${id} after`, '{ viewer { id } health { status } }')
        first.push(socket.nextOf(`${id} after`).then(() => undefined))
      }
      const frame = await Promise.race(first)
      socket.complete(id)
      if (!frame || frame.type === 'complete') return []
      this.check(200, frame.raw, payload)
      return frame.type === 'error' ? [{ errors: frame.payload as never }] : [frame.payload as GraphqlAnswer]
    } catch (error) {
      if (error instanceof Fault) throw error
      const { code, reason } = await socket.closed
      if (!closesForBadFrames.has(code))
        this.fault('oddCloses', `closed with ${code} ${reason} for ${payload.slice(0, 400)}`)
      return []
    } finally {
      if (!isShared) await socket.close()
    }
  }

  async #openSocket(token: string): Promise<BareSocket> {
    const open = await this.#socket?.catch(() => undefined)
    if (open && open.socket.readyState === open.socket.OPEN) return open
    this.#socket = openSocket(this.#server, { token, socket: this.#from })
    this.#sockets.push(this.#socket)
    return this.#socket
  }

  /** Someone with a session, a message with its answer and a companion in it; what is still there is kept. */
  async #prepare(before?: Known): Promise<Known> {
    if (before && (await this.#isThere(before))) return before
    const subject = `Fuzz ${Math.random()}`
    const admin = { id: '', name: subject, token: await signToken({ sub: subject, name: subject, admin: true }) }
    this.#admin = admin
    this.#socket = undefined
    const [{ viewer }, other] = await Promise.all([
      gql<{ viewer: { id: string } }>(this.#server, '{ viewer { id } }', {}, admin),
      signIn(this.#server, 'Companion'),
    ])
    const [session, foreign] = await Promise.all([
      createSession(this.#server, admin, { title: 'Stays as it is' }),
      createSession(this.#server, other, { title: 'Of somebody else' }),
    ])
    await join(this.#server, admin, other, session)
    const { sentId, generationId } = await send(this.#server, admin, session, 'Stays as it is [[tokens=3]]')
    return { session, foreign, message: sentId, generation: generationId, user: other.id, viewer: viewer.id }
  }

  async #isThere({ session, user }: Known): Promise<boolean> {
    const { data } = (
      await this.post(
        JSON.stringify({
          query: 'query ($id: ID!) { session(id: $id) { participants { user { id } } } }',
          variables: { id: session },
        }),
        json,
        this.#admin!.token,
      )
    )[0] as GraphqlAnswer<{ session: { participants: { user: { id: string } }[] } | null }>
    return data?.session?.participants.some((participant) => participant.user.id === user) ?? false
  }

  async #deleteSessions(): Promise<void> {
    const { sessions } = await gql<{ sessions: { edges: { node: { id: string } }[] } }>(
      this.#server,
      '{ sessions(first: 100) { edges { node { id } } } }',
      {},
      this.#admin,
    )
    const ids = sessions.edges.map(({ node }) => node.id)
    await mutate(this.#server, this.#admin!, 'deleteSessions', { sessionIds: ids })
  }

  /** @throws Fault where an answer tells what it must not */
  check(status: number, text: string, asked: string): void {
    const what = `${status} ${text.slice(0, 600)} for ${asked.slice(0, 600)}`
    if (status >= 500) this.fault('fives', what)
    const told = text.match(leak)?.find((words) => !asked.includes(words.replaceAll('"', '')))
    if (told) this.fault('unmasked', `${told}: ${what}`)
    for (const [, code] of text.matchAll(/"path":\[[^\]]*\],"extensions":\{"code":"(\w+)"/g))
      if (!codes.has(code)) this.fault('untyped', what)
  }

  /** Counts what must not happen. */
  fault(kind: keyof Tally, what: string): never {
    this.tally[kind]++
    throw new Fault(`${kind}: ${what}`)
  }
}

/** Whether the field was resolved, and not to an error. */
function isAnswered({ data, errors }: GraphqlAnswer, { name, operation }: AskedField): boolean {
  if (operation !== 'mutation') return data != null && !errors
  const result = data?.[name.replace(/^.*\./, '')] as { __typename: string } | null | undefined
  return result != null && !result.__typename.endsWith('Error')
}

/** A stream to its end, or as far as there is something to read: a subscription may have nothing to say for long. */
async function readStream(body: AsyncIterable<Buffer> & { destroy(): unknown }, mayBeSilent: boolean): Promise<string> {
  let text = ''
  const decoder = new TextDecoder()
  const timer = setTimeout(() => body.destroy(), mayBeSilent ? 15 : 20_000)
  try {
    for await (const chunk of body) {
      text += decoder.decode(chunk, { stream: true })
      if (/^event: complete|^data: [^\n]*\n\n/m.test(text)) break
    }
  } catch {
    // given up
  } finally {
    clearTimeout(timer)
    body.destroy()
  }
  return text
}
