import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isUnstorable, naughtyStrings } from '../../faults/support/badInputs.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { gql, openSocket, post, signIn, type Person } from '../support/clients.ts'
import { createSession, send, type Failure } from '../support/operations.ts'
import { storageKinds } from '../support/storages.ts'

const lengthOf = (text: string): number => [...text].length
const isBlank = (text: string): boolean => text.trim() === ''

const inputs = {
  createSession: (given: object) => ({ input: given }),
  sendMessage: (given: object) => ({ input: { content: 'x', respond: false, ...given } }),
  signInAsGuest: (given: object) => ({ input: given }),
}
type Mutation = keyof typeof inputs

/** Every place that keeps a string: how it is given, and which strings it does not take. */
const places: { name: string; by: Mutation; given: (text: string) => object; refuses: (text: string) => boolean }[] = [
  {
    name: 'title',
    by: 'createSession',
    given: (title) => ({ title }),
    refuses: (text) => isBlank(text) || lengthOf(text) > 500,
  },
  {
    name: 'settings.systemPrompt',
    by: 'createSession',
    given: (systemPrompt) => ({ settings: { systemPrompt } }),
    refuses: () => false,
  },
  {
    name: 'settings.tools',
    by: 'createSession',
    given: (tool) => ({ settings: { tools: [tool] } }),
    refuses: (text) => text === '' || lengthOf(text) > 64,
  },
  { name: 'metadata', by: 'createSession', given: (value) => ({ metadata: { value: [value] } }), refuses: () => false },
  {
    name: 'metadata',
    by: 'createSession',
    given: (key) => ({ metadata: Object.fromEntries([[key, 1]]) }),
    refuses: () => false,
  },
  { name: 'content', by: 'sendMessage', given: (content) => ({ content }), refuses: isBlank },
  {
    name: 'metadata',
    by: 'sendMessage',
    given: (text) => ({ metadata: Object.fromEntries([[text, text]]) }),
    refuses: () => false,
  },
  {
    name: 'name',
    by: 'signInAsGuest',
    given: (name) => ({ name }),
    refuses: (text) => isBlank(text) || lengthOf(text.trim()) > 100,
  },
]

describe.each(storageKinds)('naughty strings on %s', (storage) => {
  let app: TestApp
  let ada: Person
  let sessionId: string
  beforeAll(async () => {
    app = await startApp({ storage })
    ada = await signIn(app)
    sessionId = await createSession(app, ada)
  })
  afterAll(() => app?.stop())

  async function mutate<Data extends object>(by: Mutation, given: object, selection: string): Promise<Failure & Data> {
    const type = by[0]!.toUpperCase() + by.slice(1)
    const more = by === 'sendMessage' ? { sessionId } : {}
    const data = await gql<Record<string, Failure & Data>>(
      app,
      `mutation ($input: ${type}Input!) { ${by}(input: $input) { __typename ... on ${type}Success { ${selection} }
        ... on InvalidInputError { code message fields { path } } } }`,
      inputs[by]({ ...given, ...more }),
      ada,
    )
    return data[by]!
  }

  it('come out of every place that keeps them as they went in', async () => {
    const given: object[] = []
    const gotten: unknown[] = []
    const contents: string[] = []
    for (const text of naughtyStrings) {
      if (isUnstorable(text)) continue
      const fitting = places.filter(({ refuses }) => !refuses(text))
      const metadata = { ...Object.fromEntries([[text, text]]), list: [text, { [`${text}${text}`]: text }] }
      const isTaken = (name: string): boolean => fitting.some((place) => place.name === name)
      const title = isTaken('title') ? text : undefined
      const tools = isTaken('settings.tools') ? [text] : []
      const made = await mutate<{ session: { id: string } }>(
        'createSession',
        { title, settings: { systemPrompt: text, tools }, metadata },
        'session { id }',
      )
      const { session } = await gql<{ session: object }>(
        app,
        'query ($id: ID!) { session(id: $id) { title settings { systemPrompt tools } metadata } }',
        { id: made.session?.id },
        ada,
      )
      given.push({ title: title ?? '', settings: { systemPrompt: text, tools }, metadata })
      gotten.push(session)
      if (isTaken('content')) {
        const { sent } = await mutate<{ sent: object }>(
          'sendMessage',
          { content: text, metadata },
          'sent { content metadata }',
        )
        given.push({ content: text, metadata })
        gotten.push(sent)
        contents.push(text)
      }
      if (isTaken('name')) {
        const guest = await mutate<{ token: string }>('signInAsGuest', { name: text }, 'token')
        given.push({ viewer: { name: text.trim() } })
        gotten.push(await gql(app, '{ viewer { name } }', {}, { token: guest.token }))
      }
    }
    expect(gotten).toEqual(given)
    expect(contents.length).toBeGreaterThan(400)
    expect(await contentsByLog(contents.length)).toEqual(contents)
  }, 240_000)

  async function contentsByLog(count: number): Promise<string[]> {
    const socket = await openSocket(app, { token: ada.token })
    socket.subscribe(
      '1',
      'subscription ($s: ID!) { sessionEvents(sessionId: $s, after: 0) { ... on MessageAdded { message { content } } } }',
      { s: sessionId },
    )
    const contents: string[] = []
    while (contents.length < count) {
      const { data } = (await socket.nextOf('1')).payload as {
        data: { sessionEvents: { message?: { content: string } } }
      }
      if (data.sessionEvents.message) contents.push(data.sessionEvents.message.content)
    }
    await socket.close()
    return contents
  }

  it('that a place does not keep get an InvalidInputError that names it', async () => {
    let refused = 0
    for (const text of naughtyStrings)
      for (const { name, by, given, refuses } of places) {
        if (!isUnstorable(text) && !refuses(text)) continue
        const result = await mutate(by, given(text), '__typename')
        expect(result, `${by} ${name} ${JSON.stringify(text)}`).toMatchObject({
          __typename: 'InvalidInputError',
          code: 'INVALID_INPUT',
        })
        expect(result.fields![0]!.path.join('.')).toMatch(new RegExp(`^${name}`))
        refused++
      }
    expect(refused).toBeGreaterThan(50)
  })

  it("are nobody's id", async () => {
    for (const text of naughtyStrings.filter((id) => !/^[\da-f-]{36}$/.test(id))) {
      const read = 'query ($id: ID!) { session(id: $id) { id } message(id: $id) { id } node(id: $id) { id } }'
      const { body } = await post(app, read, { id: text }, ada)
      expect(body, JSON.stringify(text)).toEqual({ data: { session: null, message: null, node: null } })
      expect(await mutate('createSession', { id: text }, '__typename')).toMatchObject({
        __typename: 'InvalidInputError',
      })
      expect(await mutate('sendMessage', { id: text }, '__typename')).toMatchObject({ __typename: 'InvalidInputError' })
    }
  }, 240_000)

  it('are not the only thing that can be lost: a number beyond all doubles is refused too', async () => {
    const query = `mutation ($input: CreateSessionInput!) { createSession(input: $input) { __typename
      ... on InvalidInputError { fields { path } } } }`
    for (const number of ['1e400', '-1e400']) {
      const response = await fetch(`${app.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${ada.token}` },
        body: `{"query":${JSON.stringify(query)},"variables":{"input":{"metadata":{"a":[${number}]}}}}`,
      })
      expect(await response.json()).toEqual({
        data: { createSession: { __typename: 'InvalidInputError', fields: [{ path: ['metadata'] }] } },
      })
    }
  })

  it('reach the model as they are', async () => {
    const text = naughtyStrings.filter((one) => !isUnstorable(one)).join('\n')
    const prompted = await createSession(app, ada, { settings: { systemPrompt: text } })
    await send(app, ada, prompted, 'Hello')
    const plain = await createSession(app, ada)
    await send(app, ada, plain, text)
    const prompts = await Promise.all([0, 1].map((index) => app.fake.waitForRequest(index)))
    expect(prompts.flatMap(({ body }) => body.messages)).toEqual(
      expect.arrayContaining([
        { role: 'system', content: text },
        { role: 'user', content: text },
      ]),
    )
    expect(app.logged).toEqual([])
  })
})
