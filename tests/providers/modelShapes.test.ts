import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { openaiCompatible } from '../../server/providers/openaiCompatible.ts'

it.each([
  [
    'a bare array',
    [
      { id: 'org/a', type: 'chat' },
      { id: 'org/b', type: 'embedding' },
    ],
    ['org/a'],
  ],
  ['names under models', { models: [{ name: 'llama3.2:3b', model: 'llama3.2:3b' }] }, ['llama3.2:3b']],
  ['models beside null data', { data: null, models: [{ name: 'a' }] }, ['a']],
  ['null data', { object: 'list', data: null }, []],
  ['entries that are none, and one twice', { data: [null, 7, {}, { id: '' }, { id: 'a' }, { id: 'a' }] }, ['a']],
])('a list of models is read from %s', async (_name, answer, names) => {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(answer))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const provider = openaiCompatible({
    name: 'local',
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    settings: { apiKey: 'LOCAL_API_KEY', baseUrl: 'LOCAL_BASE_URL' },
    timeouts: { connectMs: 2_000 },
  })
  try {
    const models = await provider.models(new AbortController().signal)
    expect(models.map(({ name }) => name)).toEqual(names)
  } finally {
    await provider.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})
