import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { answer } from './answer.ts'

/** Sends the same kind of request over and over, on many connections, and costs little itself: answers are not parsed. */
export interface Load {
  url: string
  headers: Record<string, string>
  /** Body of a request: `$pick` stands for one of `choices` in turn, `$uuid` for a new id. */
  body: string
  choices: string[]
  /** What every answer must contain. */
  contains: string
  connections: number
  durationMs: number
}

export interface Loaded {
  requests: number
  seconds: number
  bytes: number
}

const headEnd = Buffer.from('\r\n\r\n')
const lastChunk = Buffer.from('\r\n0\r\n\r\n')

function run({ url, headers, body, choices, contains, connections, durationMs }: Load): Promise<Loaded> {
  const { hostname, port, pathname } = new URL(url)
  const head =
    `POST ${pathname} HTTP/1.1\r\nhost: ${hostname}:${port}\r\ncontent-type: application/json\r\n` +
    Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')
  const needle = Buffer.from(contains)
  let turn = 0
  let requests = 0
  let bytes = 0
  let open = connections
  const startedAt = performance.now()
  const until = startedAt + durationMs

  return new Promise((resolve, reject) => {
    for (let index = 0; index < connections; index++) {
      const socket = connect(Number(port), hostname)
      socket.setNoDelay(true)
      let answer: Buffer = Buffer.alloc(0)
      const send = () => {
        if (performance.now() >= until) {
          socket.destroy()
          open -= 1
          if (open === 0) resolve({ requests, seconds: (performance.now() - startedAt) / 1000, bytes })
          return
        }
        const text = body.replace('$pick', choices[turn++ % choices.length]!).replace('$uuid', () => randomUUID())
        socket.write(`${head}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`)
      }
      socket.once('connect', send)
      socket.once('error', reject)
      socket.on('data', (chunk) => {
        answer = answer.length > 0 ? Buffer.concat([answer, chunk]) : chunk
        if (!isWhole(answer)) return
        if (answer.toString('latin1', 9, 12) !== '200' || !answer.includes(needle) || answer.includes('"errors"'))
          return reject(new Error(`an answer was ${answer.toString('utf8', 0, 600)}`))
        requests += 1
        bytes += answer.length
        answer = Buffer.alloc(0)
        send()
      })
    }
  })
}

function isWhole(answer: Buffer): boolean {
  const end = answer.indexOf(headEnd)
  if (end < 0) return false
  const length = /\r\ncontent-length: (\d+)/i.exec(answer.toString('latin1', 0, end + 2))?.[1]
  if (length !== undefined) return answer.length >= end + headEnd.length + Number(length)
  return answer.subarray(-lastChunk.length).equals(lastChunk)
}

const methods = { run }
export type HttpLoad = typeof methods

answer('', methods)
