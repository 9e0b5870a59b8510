import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { buildSchema } from 'graphql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestApp } from '../support/app.ts'
import { readEntries, startAudited, type Entry, type Filter } from '../support/auditLog.ts'
import { post, signIn, type Person } from '../support/clients.ts'
import { createSession, join, mutate, send } from '../support/operations.ts'
import { storageKinds } from '../support/storages.ts'

const mutations = Object.keys(
  buildSchema(readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8'))
    .getMutationType()!
    .getFields(),
)

describe.each(storageKinds)('the audit log on %s', (storage) => {
  let app: TestApp
  let admin: Person
  let ada: Person

  const entries = (filter: Filter = {}, by = admin) => readEntries(app, by, filter)

  beforeAll(async () => void ({ app, admin, ada } = await startAudited(storage)))
  afterAll(() => app.stop())

  describe('of mutations', () => {
    /** For each mutation, a call that works and one that does not; who is not named is Ada. */
    interface Calls {
      success: () => Promise<Asked>
      refusal: () => Promise<Asked>
    }
    interface Asked {
      input?: Filter | undefined
      by?: Person | { token: undefined }
      about?: { sessionId?: string; subjectId?: string; userId?: string }
    }
    const own = async (title = 'A session'): Promise<string> => createSession(app, ada, { title })
    const foreign = async (): Promise<string> => createSession(app, await signIn(app, 'Eve'))
    const joined = async (): Promise<{ sessionId: string; userId: string; bob: Person }> => {
      const bob = await signIn(app, 'Bob')
      const sessionId = await own()
      await join(app, ada, bob, sessionId)
      return { sessionId, userId: bob.id, bob }
    }
    const onSession =
      (input: (sessionId: string) => Filter) =>
      (make: () => Promise<string>): (() => Promise<Asked>) =>
      async () => {
        const sessionId = await make()
        return { input: input(sessionId), about: { sessionId } }
      }
    const invitation = async (sessionId: string): Promise<string> =>
      (await mutate<{ token: string }>(app, ada, 'inviteToSession', { sessionId, role: 'MEMBER' }, 'token')).token!
    const session = (input: (sessionId: string) => Filter): Calls => ({
      success: onSession(input)(own),
      refusal: onSession(input)(foreign),
    })
    const person = (more: Filter = {}): Calls => ({
      async success() {
        const { sessionId, userId } = await joined()
        return { input: { sessionId, userId, ...more }, about: { sessionId, subjectId: userId } }
      },
      async refusal() {
        const { sessionId, bob } = await joined()
        return {
          input: { sessionId, userId: ada.id, ...more },
          by: bob,
          about: { sessionId, subjectId: ada.id },
        }
      },
    })

    const calls: Record<string, Calls> = {
      signInAsGuest: {
        success: async () => ({ input: { name: 'Grace' }, by: { token: undefined } }),
        refusal: async () => ({ input: { name: '' }, by: { token: undefined } }),
      },
      signIn: {
        async success() {
          const { token, id } = await signIn(app)
          return { input: { token }, by: { token: undefined }, about: { userId: id } }
        },
        refusal: async () => ({ input: { token: 'a token that nobody made' }, by: { token: undefined } }),
      },
      signOut: {
        success: async () => ({ by: await signIn(app, 'Leaver') }),
        refusal: async () => ({ by: { token: undefined } }),
      },
      createSession: {
        success: async () => ({ input: {} }),
        refusal: async () => ({ input: { model: 'nobody/nothing' } }),
      },
      updateSession: session((sessionId) => ({ sessionId, title: 'Another' })),
      deleteSessions: session((sessionId) => ({ sessionIds: [sessionId] })),
      deleteEmptySessions: {
        success: async () => ({ by: await signIn(app, 'Tidy') }),
        refusal: async () => ({ by: { token: undefined } }),
      },
      inviteToSession: session((sessionId) => ({ sessionId, role: 'VIEWER' })),
      joinSession: {
        async success() {
          const sessionId = await own()
          const by = await signIn(app, 'Joiner')
          return { input: { token: await invitation(sessionId) }, by, about: { sessionId, subjectId: by.id } }
        },
        refusal: async () => ({ input: { token: 'there is no such token' } }),
      },
      leaveSession: {
        async success() {
          const { sessionId, bob } = await joined()
          return { input: { sessionId }, by: bob, about: { sessionId } }
        },
        refusal: onSession((sessionId) => ({ sessionId }))(own),
      },
      removeParticipant: person(),
      changeParticipantRole: person({ role: 'VIEWER' }),
      transferSession: person(),
      updateViewer: {
        async success() {
          const by = await signIn(app, 'Renamed')
          return { input: { name: 'Anew' }, by, about: { subjectId: by.id } }
        },
        refusal: async () => ({ input: { name: ' ' } }),
      },
      deleteViewer: {
        async success() {
          const by = await signIn(app, 'Gone')
          return { input: { name: 'Gone' }, by, about: { subjectId: by.id } }
        },
        refusal: async () => ({ input: { name: 'Somebody else' } }),
      },
      sendMessage: session((sessionId) => ({ sessionId, content: 'Hello', respond: false })),
      stopGeneration: {
        async success() {
          const sessionId = await own()
          const { generationId } = await send(app, ada, sessionId, 'Hello [[tokens=1]]')
          return { input: { generationId }, about: { sessionId, subjectId: generationId } }
        },
        async refusal() {
          const sessionId = await own()
          const { generationId } = await send(app, ada, sessionId, 'Hello [[tokens=1]]')
          return { input: { generationId }, by: await signIn(app), about: { sessionId, subjectId: generationId } }
        },
      },
      setTyping: session((sessionId) => ({ sessionId, isTyping: true })),
      createApiKey: {
        success: async () => ({ input: { name: 'script', scopes: ['READ'] } }),
        refusal: async () => ({ input: { name: 'script', scopes: [] } }),
      },
      revokeApiKey: {
        async success() {
          const { key } = await mutate<{ key: { id: string } }>(
            ...([app, ada, 'createApiKey', { name: 'old', scopes: ['READ'] }, 'key: apiKey { id }'] as const),
          )
          return { input: { id: key!.id }, about: { subjectId: key!.id } }
        },
        refusal: async () => {
          const id = randomUUID()
          return { input: { id }, about: { subjectId: id } }
        },
      },
    }

    /** Calls a mutation under a request id of its own, and gives what was noted of that. */
    async function notedOf(name: string, { input, by = ada }: Asked): Promise<Entry[]> {
      const requestId = randomUUID()
      const type = `${name[0]!.toUpperCase()}${name.slice(1)}Input`
      const query = input
        ? `mutation ($input: ${type}!) { ${name}(input: $input) { __typename } }`
        : `mutation { ${name} { __typename } }`
      const { body } = await post(app, query, { input }, { token: by.token, headers: { 'x-request-id': requestId } })
      expect(body.errors?.filter(({ extensions }) => !extensions?.code) ?? [], JSON.stringify(body)).toEqual([])
      return (await entries()).filter((entry) => entry.requestId === requestId)
    }

    test.each(mutations)('has one entry of each call that works, and one of each that is refused: %s', async (name) => {
      const call = calls[name]
      if (!call) throw new Error(`The mutation ${name} is new: say here how it works and how it is refused.`)
      for (const outcome of ['success', 'refusal'] as const) {
        const asked = await call[outcome]()
        const noted = await notedOf(name, asked)
        expect(noted, outcome).toHaveLength(1)
        expect(noted[0]).toMatchObject({
          action: name,
          outcome: outcome === 'success' ? 'SUCCEEDED' : 'FAILED',
          userId: asked.by && 'id' in asked.by ? asked.by.id : asked.by ? null : ada.id,
          address: expect.stringMatching(/127\.0\.0\.1$/),
          times: 1,
          ...asked.about,
        })
        expect(noted[0]!.errorCode === null, `${noted[0]!.errorCode}`).toBe(outcome === 'success')
      }
    })

    test('has an entry also where nothing was changed, and each of several in one document', async () => {
      const sessionId = await own()
      const { userId } = await joined()
      const requestId = randomUUID()
      await post(
        app,
        `mutation ($id: ID!, $user: ID!) {
          a: createSession(input: { id: $id, title: "A session" }) { __typename }
          b: updateSession(input: { sessionId: $id, title: "B" }) { __typename }
          c: removeParticipant(input: { sessionId: $id, userId: $user }) { __typename }
        }`,
        { id: sessionId, user: userId },
        { token: ada.token, headers: { 'x-request-id': requestId } },
      )
      const noted = (await entries()).filter((entry) => entry.requestId === requestId)
      expect(new Set(noted.map(({ action, errorCode }) => `${action} ${errorCode}`))).toEqual(
        new Set(['createSession null', 'removeParticipant NOT_FOUND', 'updateSession null']),
      )
      expect(noted).toHaveLength(3)
    })
  })
})
