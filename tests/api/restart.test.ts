import { afterEach, describe, expect, it } from 'vitest'
import { makeFolder, startServerProcess, type ServerProcess } from '../support/app.ts'
import { openSocket, signIn } from '../support/clients.ts'
import { startFakeModelServer, text } from '../support/fakeModelServer.ts'
import { createSession, readMessage, send } from '../support/operations.ts'

const cleanUp: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo()
})

describe('a server process', () => {
  it('that is killed in mid-stream has stored what anyone saw, and interrupts the answer when it is started again', async () => {
    const [fake, folder] = await Promise.all([startFakeModelServer(), makeFolder()])
    cleanUp.push(folder.remove, fake.stop)
    const start = async (): Promise<ServerProcess> => {
      const server = await startServerProcess({
        DATABASE_URL: `sqlite:${folder.path}/parley.db`,
        LOCAL_BASE_URL: fake.url,
      })
      cleanUp.push(() => server.end('SIGKILL'))
      return server
    }
    const first = await start()
    const ada = await signIn(first)
    const sessionId = await createSession(first, ada)
    const { sentId, replyId } = await send(first, ada, sessionId, 'on [[tokens=90 stall=40 seed=killed]]')
    const socket = await openSocket(first, { token: ada.token })
    socket.subscribe('1', 'subscription ($id: ID!) { messageDeltas(messageId: $id) { text } }', { id: replyId })
    let seen = ''
    while (seen !== text('killed', 40))
      seen += ((await socket.nextOf('1')).payload as { data: { messageDeltas: { text: string } } }).data.messageDeltas
        .text
    expect(await first.end('SIGKILL')).toBe('SIGKILL')

    const second = await start()
    expect(await readMessage(second, ada, sentId)).toMatchObject({ status: 'COMPLETE' })
    expect(await readMessage(second, ada, replyId)).toMatchObject({
      status: 'INTERRUPTED',
      content: seen,
      error: { code: 'INTERRUPTED' },
    })
    expect(await second.end('SIGTERM')).toBe(0)
  })
})
