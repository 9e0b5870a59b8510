import { gql, type Person } from './clients.ts'

interface Server {
  url: string
}

/** What any mutation of the tests may give: the fields of its success, or those of a failure. */
export interface Failure {
  __typename: string
  code?: string
  message?: string
  fields?: { path: string[]; message: string }[]
  retryAfterMs?: number
  provider?: string
}

/** What a test asks of every failure. */
export const onError = `... on Error { code message }
  ... on InvalidInputError { fields { path message } }
  ... on RateLimitedError { retryAfterMs }`

/** The same for a union that has only some of the failures. */
export const onSomeError = `... on Error { code message }`

export interface Reply {
  id: string
  status: string
  content: string
  parent: { id: string } | null
  error: { code: string; message: string } | null
}

export interface SendResult extends Failure {
  sent?: { id: string; content: string; parent: { id: string } | null; metadata: unknown; author: { id: string } }
  reply?: Reply | null
  generation?: { id: string; status: string } | null
}

const sendDocument = `mutation Send($input: SendMessageInput!) {
  sendMessage(input: $input) {
    __typename
    ... on SendMessageSuccess {
      sent { id content parent { id } metadata author { id } }
      reply { id status content parent { id } error { code message } }
      generation { id status }
    }
    ${onError}
  }
}`

/** `sendMessage` with whatever becomes of it. */
export async function trySend(app: Server, { token }: Person, input: Record<string, unknown>): Promise<SendResult> {
  return (await gql<{ sendMessage: SendResult }>(app, sendDocument, { input }, { token })).sendMessage
}

export interface SentIds {
  sentId: string
  replyId: string
  generationId: string
}

/** A message that must be accepted, with an answer of the model under way. */
export async function send(
  app: Server,
  by: Person,
  sessionId: string,
  content = 'Hello',
  more: Record<string, unknown> = {},
): Promise<SentIds> {
  const result = await trySend(app, by, { sessionId, content, ...more })
  if (result.__typename !== 'SendMessageSuccess') throw new Error(`Not sent: ${JSON.stringify(result)}`)
  return { sentId: result.sent!.id, replyId: result.reply?.id ?? '', generationId: result.generation?.id ?? '' }
}

export async function createSession(
  app: Server,
  { token }: Person,
  input: Record<string, unknown> = {},
): Promise<string> {
  const { createSession: result } = await gql<{ createSession: { session?: { id: string } } }>(
    app,
    `mutation ($input: CreateSessionInput!) { createSession(input: $input) {
      ... on CreateSessionSuccess { session { id } } ${onSomeError} } }`,
    { input },
    { token },
  )
  if (!result.session) throw new Error(`No session was made: ${JSON.stringify(result)}`)
  return result.session.id
}

/** Lets `guest` join by an invitation. */
export async function join(
  app: Server,
  owner: Person,
  guest: Person,
  sessionId: string,
  role: 'MEMBER' | 'VIEWER' = 'MEMBER',
): Promise<void> {
  const { inviteToSession } = await gql<{ inviteToSession: { token: string } }>(
    app,
    `mutation ($input: InviteToSessionInput!) { inviteToSession(input: $input) {
      ... on InviteToSessionSuccess { token } ${onSomeError} } }`,
    { input: { sessionId, role } },
    owner,
  )
  const { joinSession } = await gql<{ joinSession: { __typename: string } }>(
    app,
    `mutation ($token: String!) { joinSession(input: { token: $token }) { __typename ${onSomeError} } }`,
    { token: inviteToSession.token },
    guest,
  )
  if (joinSession.__typename !== 'JoinSessionSuccess') throw new Error(`Not joined: ${JSON.stringify(joinSession)}`)
}

/** A mutation with one input, by its name: `__typename`, the failure's fields, and what is selected of the success. */
export async function mutate<Data extends object>(
  app: Server,
  { token }: Person,
  name: string,
  input: Record<string, unknown>,
  ofSuccess = '__typename',
): Promise<Failure & Partial<Data>> {
  const type = name[0]!.toUpperCase() + name.slice(1)
  const answer = await gql<Record<string, Failure & Partial<Data>>>(
    app,
    `mutation ($input: ${type}Input!) { ${name}(input: $input) {
      __typename ... on ${type}Success { ${ofSuccess} } ${onSomeError} } }`,
    { input },
    { token },
  )
  return answer[name]!
}

/** A message as it is now. */
export async function readMessage(app: Server, { token }: Person, id: string): Promise<Reply> {
  const { message } = await gql<{ message: Reply }>(
    app,
    `query ($id: ID!) { message(id: $id) { id status content parent { id } error { code message } } }`,
    { id },
    { token },
  )
  return message
}
