import { WebSocket } from 'ws'
import { answer } from './answer.ts'

/** One follower who comes back from far behind. */
export interface Return {
  url: string
  token: string
  sessionId: string
  lastSeq: number
  characters: number
}

const query = /* GraphQL */ `
  subscription ($sessionId: ID!, $after: Int) {
    sessionEvents(sessionId: $sessionId, after: $after) {
      __typename
      seq
      ... on MessageAdded {
        message {
          id
          role
          status
          createdAt
        }
      }
      ... on MessageDelta {
        messageId
        offset
        text
      }
      ... on GenerationStarted {
        generation {
          id
          status
        }
      }
      ... on GenerationEnded {
        generation {
          id
          status
        }
        message {
          id
          status
        }
      }
    }
  }
`

interface Frame {
  payload: { data: { sessionEvents: { seq: number; offset?: number; text?: string; messageId?: string } } }
}

const methods = {
  /** Milliseconds from the subscription to the last event. What came is checked afterwards. */
  comeBack({ url, token, sessionId, lastSeq, characters }: Return): Promise<{ ms: number; frames: number }> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url, 'graphql-transport-ws', { perMessageDeflate: false, skipUTF8Validation: true })
      const frames: Buffer[] = []
      const last = `"seq":${lastSeq}`
      let startedAt = 0
      const timer = setTimeout(() => reject(new Error(`after 30 s only ${frames.length} frames had come`)), 30_000)
      socket.once('error', reject)
      socket.once('open', () =>
        socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } })),
      )
      socket.once('message', () => {
        socket.on('message', (frame: Buffer) => {
          frames.push(frame)
          if (!frame.includes(last)) return
          const ms = performance.now() - startedAt
          clearTimeout(timer)
          socket.terminate()
          const problem = check(frames, lastSeq, characters)
          if (problem) reject(new Error(problem))
          else resolve({ ms, frames: frames.length })
        })
        startedAt = performance.now()
        socket.send(
          JSON.stringify({ id: '1', type: 'subscribe', payload: { query, variables: { sessionId, after: 0 } } }),
        )
      })
    })
  },
}
export type CatchUpClient = typeof methods

/** Sequence numbers that ascend, and texts of each message that join on without a hole. */
function check(frames: Buffer[], lastSeq: number, characters: number): string | undefined {
  const lengths = new Map<string, number>()
  let seq = 0
  for (const frame of frames) {
    const event = (JSON.parse(String(frame)) as Frame).payload.data.sessionEvents
    if (event.seq <= seq) return `seq ${event.seq} came after ${seq}`
    seq = event.seq
    if (event.text === undefined) continue
    const length = lengths.get(event.messageId!) ?? 0
    if (event.offset !== length) return `a delta began at ${event.offset}, not at ${length}`
    lengths.set(event.messageId!, length + event.text.length)
  }
  const total = [...lengths.values()].reduce((sum, length) => sum + length, 0)
  if (seq !== lastSeq || total !== characters)
    return `${total} of ${characters} characters came, up to seq ${seq} of ${lastSeq}`
  return undefined
}

answer('', methods)
