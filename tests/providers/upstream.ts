import type { Socket } from 'node:net'
import { expect } from 'vitest'
import { openaiCompatible, type OpenaiCompatibleOptions } from '../../server/providers/openaiCompatible.ts'
import { ProviderError, type ChatRequest, type Part } from '../../server/providers/provider.ts'
import type { Behaviour } from '../support/behaviour.ts'
import { startFakeModelServer, type FakeModelServer } from '../support/fakeModelServer.ts'
import { startRawServer, type RawServer } from '../support/rawServer.ts'

export const key = 'sk-very-secret-key-1234'
/** Of the test that runs: the model server, and the provider that speaks to it. */
export let server: FakeModelServer
export let provider: ReturnType<typeof openaiCompatible>
let raw: RawServer | undefined

const create = (options: Partial<OpenaiCompatibleOptions> = {}) =>
  openaiCompatible({
    name: 'local',
    baseUrl: server.url,
    apiKey: key,
    timeouts: { connectMs: 2_000, trailerMs: 60 },
    settings: { apiKey: 'LOCAL_API_KEY', baseUrl: 'LOCAL_BASE_URL' },
    ...options,
  })

export async function startUpstream(): Promise<void> {
  server = await startFakeModelServer()
  provider = create()
}

export async function stopUpstream(): Promise<void> {
  await provider.close()
  await server.stop()
  await raw?.stop()
  raw = undefined
}

/** Puts another provider in the place of the one that there is. */
export async function recreate(options: Partial<OpenaiCompatibleOptions>): Promise<void> {
  await provider.close()
  provider = create(options)
}

export const requestOf = (content: string): ChatRequest => ({ model: 'fake', messages: [{ role: 'user', content }] })

export async function ask(content = 'Hi', options: { signal?: AbortSignal; request?: ChatRequest } = {}) {
  const parts: Part[] = []
  const request = options.request ?? requestOf(content)
  const error = await provider
    .stream(request, (part) => parts.push(part), options.signal ?? new AbortController().signal)
    .then(
      () => undefined,
      (reason: unknown) => reason,
    )
  const join = (type: 'text' | 'reasoning') => parts.map((part) => (part.type === type ? part.text : '')).join('')
  return { parts, error, text: join('text'), reasoning: join('reasoning') }
}

export async function failure(behaviour: Behaviour): Promise<ProviderError> {
  server.script(behaviour)
  const { error } = await ask()
  expect(error).toBeInstanceOf(ProviderError)
  return error as ProviderError
}

/** Lets the provider speak to a server that does with a connection what it is told. */
export async function serveRaw(onConnection: (socket: Socket) => void, protocol = 'http', connectMs = 2_000) {
  await raw?.stop()
  raw = await startRawServer(onConnection)
  await recreate({ baseUrl: `${protocol}://127.0.0.1:${raw.port}/v1`, timeouts: { connectMs } })
}

/** Lets it speak to a server whose answer is these pieces, byte for byte. */
export const answerRaw = (pieces: (string | Buffer)[], contentType = 'text/event-stream') =>
  serveRaw((socket) => {
    socket.once('data', () => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-type: ${contentType}\r\nconnection: close\r\n\r\n`)
      for (const piece of pieces) socket.write(piece)
      socket.end()
    })
  })

export const chunk = (delta: object, finish: string | null = null) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`
