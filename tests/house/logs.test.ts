import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { childLogger, createLogger } from '../../server/logger.ts'
import { startApp } from '../support/app.ts'
import { openSocket, post, signIn, type Person } from '../support/clients.ts'
import { createSession, join, mutate, send, trySend } from '../support/operations.ts'

interface Line {
  level: string
  time: string
  message: string
  [field: string]: unknown
}

function makeLog(logLevel: 'debug' | 'info' | 'warn') {
  const written: string[] = []
  const logger = createLogger({ logLevel }, (line) => void written.push(line))
  return { logger, written, lines: () => written.map((line) => JSON.parse(line) as Line) }
}

test('a line is one JSON object with its level, time and message, and what is below the level is not written', () => {
  const { logger, written, lines } = makeLog('info')
  logger.debug('not this')
  logger.info('this', { count: 1 })
  logger.error('a\nb', { error: new Error('broken') })
  expect(written.every((line) => line.endsWith('\n') && line.indexOf('\n') === line.length - 1)).toBe(true)
  expect(lines()).toEqual([
    { level: 'info', time: expect.stringMatching(/^\d{4}-.*T.*\.\d{3}Z$/), message: 'this', count: 1 },
    {
      ...{ level: 'error', time: expect.any(String), message: 'a\nb' },
      error: { name: 'Error', message: 'broken', stack: expect.stringContaining('broken') },
    },
  ])
})

test('what a field is called by keeps it out of the log, also inside another', () => {
  const { logger, written } = makeLog('debug')
  const secret = 'hunter2hunter2'
  for (const name of ['authorization', 'cookie', 'token', 'password', 'secret', 'apiKey']) {
    logger.info('flat', { [name]: secret })
    logger.info('inside', { headers: { [name]: secret }, a: { b: { [name]: secret } } })
  }
  expect(written).toHaveLength(12)
  expect(written.join('')).not.toContain(secret)
})

test('the log of a request has its id in each line', () => {
  const { logger, lines } = makeLog('debug')
  const child = childLogger(logger, { requestId: 'r-1' })
  child.debug('one')
  child.error('two', { more: true })
  logger.info('three')
  expect(lines().map(({ requestId }) => requestId)).toEqual(['r-1', 'r-1', undefined])
})

test('nothing that people wrote and no token is in the log of a busy server, at the level debug', async () => {
  const { logger, written, lines } = makeLog('debug')
  const mark = `text-${randomUUID()}`
  const app = await startApp({
    parts: { logger },
    env: {
      LOG_LEVEL: 'debug',
      SLOW_OPERATION_MS: '1',
      RATE_LIMIT_PER_MINUTE: '8',
      METRICS_TOKEN: 'a-token-of-metrics',
    },
  })
  const secrets = [mark, 'a-token-of-metrics']
  try {
    const people: Person[] = []
    for (const name of ['Ada', 'Bob', 'Eve']) people.push(await signIn(app, `${name} ${mark}`))
    const [ada, bob, eve] = people as [Person, Person, Person]
    secrets.push(ada.token, bob.token, eve.token)
    const sessionId = await createSession(app, ada, { title: mark, metadata: { mark } })
    const { token } = await mutate<{ token: string }>(
      app,
      ada,
      'inviteToSession',
      { sessionId, role: 'MEMBER' },
      'token',
    )
    secrets.push(token!)
    await join(app, ada, bob, sessionId)
    await mutate(app, eve, 'joinSession', { token: `${mark}-wrong` })
    const socket = await openSocket(app, { token: bob.token })
    socket.subscribe('1', `subscription ($id: ID!) { sessionEvents(sessionId: $id, after: 0) { __typename } }`, {
      id: sessionId,
    })
    for (const how of ['tokens=5', 'tokens=5 garbage=2', 'eof=2', 'reset=2', 'error=2'])
      await send(app, ada, sessionId, `${mark} [[${how}]]`)
    const ends = ({ raw }: { raw: string }): boolean => raw.includes('GenerationEnded')
    for (let n = 0; n < 5; n++) await socket.until('1', ends)
    for (let n = 0; n < 10; n++) await trySend(app, ada, { sessionId, content: mark, respond: false })
    await trySend(app, eve, { sessionId, content: mark })
    await mutate(app, ada, 'updateSession', { sessionId, title: mark, model: `nobody/${mark}` })
    await post(app, `query ($a: Int!) { sessions(first: $a) { totalCount } }`, { a: mark }, ada)
    await post(app, `{ sessions(filter: { title: "${mark}" }) { totalCount ${mark.replaceAll('-', '')} } }`, {}, ada)
    await post(app, `{ viewer { id } `, {}, ada)
    await post(app, '{ viewer { id } }', {}, { token: `${mark}.wrong.token` })
    await post(app, '{ viewer { id } }', {}, { token: ada.token, headers: { cookie: `parley_token=${bob.token}` } })
    await fetch(`${app.url}/metrics`, { headers: { authorization: `Bearer ${mark}` } })
    await fetch(`${app.url}/join/${token}?token=${token}`)
    await fetch(`${app.url}/graphql?query={__typename}&token=${bob.token}`)
    const wrong = await openSocket(app)
    wrong.send({ type: 'connection_init', payload: { authorization: `Bearer ${mark}` } })
    await wrong.closed
    const garbled = await openSocket(app, { token: ada.token })
    garbled.send(`{"type":"subscribe","${mark}`)
    await garbled.closed
    await socket.close()
  } finally {
    await app.stop()
  }
  const text = written.join('')
  expect(lines().length).toBeGreaterThan(30)
  expect(new Set(lines().map(({ level }) => level))).toContain('debug')
  expect(lines().map(({ message }) => message)).toEqual(
    expect.arrayContaining(['request', 'operation', 'a slow operation', 'refused']),
  )
  const found = written.filter((line) => secrets.some((secret) => line.includes(secret)))
  expect(found).toEqual([])
  expect(text).not.toContain(mark.replaceAll('-', ''))
  for (const line of lines().filter(({ message }) => ['request', 'operation', 'refused'].includes(message)))
    expect(line).toMatchObject({ requestId: expect.stringMatching(/./) })
})
