import { copyFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { start, temporaryFolder } from '../support/children.ts'
import { micros } from '../support/clock.ts'
import type { Benchmark } from '../support/benchmark.ts'
import type { HttpLoad } from '../support/httpLoad.ts'
import { startParley } from '../support/parley.ts'
import { profileArgs, reportProfile, type Window } from '../support/profile.ts'
import type { PreparedSends } from '../peers/preparedSends.ts'

const query =
  'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename ... on Error { message } } }'
const content = 'Tell me what the quick brown fox did after it had jumped over the lazy dog.'

export const sends: Benchmark = {
  name: 'sends',
  title: 'Sends stored a second, each with all its rows and events, none of them acknowledged before it is on the disk',
  async run(settings, print) {
    const { rounds, isQuick } = settings
    const folder = temporaryFolder()
    const model = await start('support/model.ts')
    try {
      const first = await startParley({ modelUrl: model.url, folder })
      const sessions = await first.createSessions(16)
      await first.stop()
      const peerPath = join(folder, 'peer.db')
      copyFileSync(first.databasePath, peerPath)
      const parley = await startParley({ modelUrl: model.url, folder, nodeArgs: profileArgs(settings) })
      const peer = await start<PreparedSends>('peers/preparedSends.ts', { args: [peerPath, first.userId] })
      const client = await start<HttpLoad>('support/httpLoad.ts')
      const durationMs = isQuick ? 700 : 3_000
      let acknowledged = 0
      const windows: Window[] = []
      const sendOver = async (url: string, contains: string) => {
        const input = { sessionId: '$pick', id: '$uuid', content, respond: false }
        const startedAt = micros()
        const { requests, seconds } = await client.call('run', {
          url,
          headers: { authorization: `Bearer ${first.token}` },
          body: JSON.stringify({ query, variables: { input } }),
          choices: sessions,
          contains,
          connections: 16,
          durationMs,
        })
        if (url !== peer.url) {
          acknowledged += requests
          windows.push([startedAt, micros()])
        }
        return requests / seconds
      }
      const figures = { ours: [] as number[], loop: [] as number[], http: [] as number[] }
      for (let round = 0; round <= rounds; round++) {
        const ours = await sendOver(`${parley.url}/graphql`, 'SendMessageSuccess')
        const loop = await peer.call('run', { sessions, content, durationMs })
        const http = await sendOver(peer.url, '"sent"')
        if (round === 0) continue
        figures.ours.push(ours)
        figures.loop.push(loop.requests / loop.seconds)
        figures.http.push(http)
      }
      for (const part of [client, peer, parley]) await part.stop()
      requireStored(first.databasePath, acknowledged)
      print({
        what: 'sends',
        unit: 'a second',
        ours: figures.ours,
        peer: { name: 'better-sqlite3 in a loop', values: figures.loop },
        goal: { of: 'ratio', atLeast: 0.4 },
      })
      print({
        what: 'sends',
        unit: 'a second',
        ours: figures.ours,
        peer: { name: 'the same behind node:http', values: figures.http },
      })
      reportProfile(settings, 'sends', windows)
    } finally {
      await model.stop()
      rmSync(folder, { recursive: true, force: true })
    }
  },
}

/** What was acknowledged is there, with its event and its place in the audit. */
function requireStored(path: string, acknowledged: number): void {
  const database = new Database(path, { readonly: true })
  const count = (sql: string) => database.prepare(sql).pluck().get() as number
  const stored = [
    count(`SELECT count(*) FROM messages`),
    count(`SELECT count(*) FROM session_events WHERE kind = 1`),
    count(`SELECT count(*) FROM audit_entries WHERE action = 'sendMessage'`),
  ]
  database.close()
  if (stored.some((rows) => rows !== acknowledged))
    throw new Error(`${acknowledged} sends were acknowledged, but the rows stored are ${stored.join(', ')}`)
}
