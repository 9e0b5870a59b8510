import { answer } from './answer.ts'
import { openLeanSocket, type LeanSocket } from './leanSocket.ts'
import { Reception } from './reception.ts'

/** Many followers over WebSocket, each with a socket of its own. Frames are counted and checked without being parsed. */
export interface Open {
  url: string
  connectionParams: object
  query: string
  /** One socket for each; `from` is the number of the first token that it will get. */
  subscriptions: { variables: object; from: number; isTimed: boolean }[]
}

const textKey = Buffer.from('"text":"')
const quote = 0x22
/** Where the text can begin at the earliest: the frame's own head, `__typename`, `seq` and `messageId` come before it. */
const headLength = 40
const reception = new Reception()
const sockets: LeanSocket[] = []

async function open({ url, connectionParams, query }: Open, wanted: Open['subscriptions'][number]): Promise<void> {
  const stream = reception.add(wanted.from, wanted.isTimed)
  const acknowledged = Promise.withResolvers<void>()
  let isAcknowledged = false
  const socket = await openLeanSocket(url, 'graphql-transport-ws', {
    onText(bytes, from, end) {
      if (!isAcknowledged) {
        isAcknowledged = bytes.toString('latin1', from, end).includes('"connection_ack"')
        if (isAcknowledged) acknowledged.resolve()
        return
      }
      const at = bytes.indexOf(textKey, from + headLength)
      if (at >= 0 && at < end) {
        const start = at + textKey.length
        reception.take(stream, bytes, start, bytes.indexOf(quote, start))
        return
      }
      const text = bytes.toString('latin1', from, end)
      if (/"type":"(error|complete)"|"errors":/.test(text)) reception.fail(`a follower got ${text.slice(0, 300)}`)
    },
    onClose(reason) {
      acknowledged.reject(new Error(reason))
      reception.fail(`a socket was closed: ${reason}`)
    },
  })
  sockets.push(socket)
  socket.send(JSON.stringify({ type: 'connection_init', payload: connectionParams }))
  await acknowledged.promise
  socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query, variables: wanted.variables } }))
}

const methods = {
  /** Resolves a moment after all have sent their subscription, for which there is no acknowledgement. */
  async open(params: Open): Promise<void> {
    const left = [...params.subscriptions]
    const connect = async () => {
      for (let next = left.shift(); next; next = left.shift()) await open(params, next)
    }
    await Promise.all(Array.from({ length: 32 }, connect))
    await new Promise((resolve) => setTimeout(resolve, 500))
  },
  sample: () => reception.sample(),
  reach: ({ next, timeoutMs, count }: { next: number; timeoutMs: number; count?: number }) =>
    reception.reach(next, timeoutMs, count),
  /** From now on the streams begin with this token. */
  restart: ({ from }: { from: number }) => reception.streams.forEach((stream) => (stream.next = from)),
}
export type Followers = typeof methods

answer('', methods)
