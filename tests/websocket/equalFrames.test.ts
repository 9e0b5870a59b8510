import { afterAll, beforeAll, expect, it } from 'vitest'
import { openStream } from '../http/eventStream.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { openSocket, signIn, type Person } from '../support/clients.ts'
import { createSession, trySend } from '../support/operations.ts'

let app: TestApp
let ada: Person
beforeAll(async () => {
  app = await startApp()
  ada = await signIn(app)
})
afterAll(() => app?.stop())

const query = `subscription ($s: ID!) { sessionEvents(sessionId: $s, after: 0) {
  __typename seq ... on MessageAdded { message { content } } } }`

interface Payload {
  data: { sessionEvents: { __typename: string; message?: { content: string } } }
}

it('Whoever follows the same by the same id, by another, or as an event stream is told the same, whatever its length', async () => {
  const sessionId = await createSession(app, ada)
  const ids = ['1', '1', '1', 'another', '\\"é"', '1']
  const sockets = await Promise.all(ids.map(() => openSocket(app, { token: ada.token })))
  const request = { token: ada.token, query, variables: { s: sessionId } }
  const streams = await Promise.all([openStream(app, request), openStream(app, request), openStream(app, request)])
  // lengths beside those at which a frame says its length another way, in characters of one to four bytes
  const texts = ['a', 'aé', '語語語', '😀', '"\\\u2028'].flatMap((letter) =>
    [1, 30, 60, 120, 9_000, 10_600].map((count) => letter.repeat(count)),
  )
  try {
    for (const [index, socket] of sockets.entries()) {
      socket.subscribe(ids[index]!, query, { s: sessionId })
      await socket.roundTrip()
    }
    for (const content of texts)
      expect((await trySend(app, ada, { sessionId, content, respond: false })).code).toBeUndefined()
    const told = await Promise.all([
      ...sockets.map(async (socket, index) => {
        const payloads: Payload[] = []
        while (contentsOf(payloads).length < texts.length)
          payloads.push((await socket.nextOf(ids[index]!)).payload as Payload)
        return payloads
      }),
      ...streams.map(async (stream) => {
        const payloads: Payload[] = []
        while (contentsOf(payloads).length < texts.length) payloads.push((await stream.next()).data as Payload)
        return payloads
      }),
    ])
    for (const payloads of told) {
      expect(contentsOf(payloads)).toEqual(texts)
      expect(payloads).toEqual(told[0])
    }
  } finally {
    for (const stream of streams) stream.cut()
    for (const socket of sockets) await socket.close()
  }
})

const contentsOf = (payloads: readonly Payload[]): string[] =>
  payloads.flatMap(({ data: { sessionEvents } }) => (sessionEvents.message ? [sessionEvents.message.content] : []))
