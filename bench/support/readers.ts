import { Agent, request } from 'node:http'
import { answer } from './answer.ts'
import { Reception, type Stream } from './reception.ts'

/** Many readers of a provider's stream over HTTP, as a program has them that talks to the provider directly. */
const contentKey = Buffer.from('"content":"')
const quote = 0x22
let reception = new Reception()
const agent = new Agent({ keepAlive: true, maxSockets: Infinity })

function read(url: string, content: string, stream: Stream): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = request(`${url}/chat/completions`, {
      method: 'POST',
      agent,
      headers: { 'content-type': 'application/json' },
    })
    call.once('error', reject)
    call.once('response', (response) => {
      let rest: Buffer = Buffer.alloc(0)
      response.on('data', (chunk: Buffer) => {
        const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk
        let from = 0
        for (let at = bytes.indexOf(contentKey); at >= 0; at = bytes.indexOf(contentKey, from)) {
          const start = at + contentKey.length
          const end = bytes.indexOf(quote, start)
          if (end < 0) break
          reception.take(stream, bytes, start, end)
          from = end
        }
        rest = bytes.subarray(Math.max(from, bytes.lastIndexOf('\n\n') + 2))
      })
      response.once('end', resolve)
      response.once('error', reject)
    })
    call.end(JSON.stringify({ model: 'bench', stream: true, messages: [{ role: 'user', content }] }))
  })
}

const methods = {
  /** Begins to read an answer to each of these messages. */
  open({ url, contents }: { url: string; contents: string[] }): void {
    reception = new Reception()
    for (const content of contents)
      read(url, content, reception.add(0, true)).catch((error: unknown) => reception.fail(String(error)))
  },
  sample: () => reception.sample(),
  reach: ({ next, timeoutMs }: { next: number; timeoutMs: number }) => reception.reach(next, timeoutMs),
}
export type Readers = typeof methods

answer('', methods)
