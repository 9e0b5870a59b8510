import { rmSync } from 'node:fs'
import { start, temporaryFolder } from '../support/children.ts'
import { micros } from '../support/clock.ts'
import type { Benchmark } from '../support/benchmark.ts'
import type { HttpLoad, Load } from '../support/httpLoad.ts'
import { startParley } from '../support/parley.ts'
import { profileArgs, reportProfile, type Window } from '../support/profile.ts'
import { openSeed } from '../support/seed.ts'

const query = /* GraphQL */ `
  query ($id: ID!) {
    session(id: $id) {
      messages(last: 50) {
        edges {
          cursor
          node {
            id
            role
            content
            status
            createdAt
            author {
              id
              name
            }
          }
        }
        pageInfo {
          hasPreviousPage
          startCursor
        }
      }
    }
  }
`

type Node = Record<string, unknown>

export const pages: Benchmark = {
  name: 'pages',
  title: 'The last 50 messages of a session over HTTP, by requests a second',
  async run(settings, print) {
    const { rounds, isQuick } = settings
    const [count, each, long] = isQuick ? [200, 200, 5_000] : [10_000, 200, 100_000]
    const folder = temporaryFolder()
    const model = await start('support/model.ts')
    try {
      // the server makes the tables and the user; the rows are written while it is away
      const first = await startParley({ modelUrl: model.url, folder })
      await first.stop()
      const seed = openSeed(first.databasePath)
      const sessions: string[] = []
      while (sessions.length < count)
        sessions.push(...seed.messages(first.userId, Math.min(500, count - sessions.length), each))
      const [longSession] = seed.messages(first.userId, 1, long)
      seed.close()

      const parley = await startParley({ modelUrl: model.url, folder, nodeArgs: profileArgs(settings) })
      const peer = await start('peers/nodeHttp.ts', { args: [first.databasePath] })
      const client = await start<HttpLoad>('support/httpLoad.ts')
      const shuffled = sessions.map((id, index) => sessions[(index * 7919) % sessions.length] ?? id)
      const request = {
        headers: { authorization: `Bearer ${first.token}` },
        body: JSON.stringify({ query, variables: { id: '$pick' } }),
        contains: '"content":"200: ',
        connections: 8,
        durationMs: isQuick ? 700 : 2_500,
      }
      await requireSame(`${parley.url}/graphql`, peer.url, request, sessions[0]!)
      const windows: Window[] = []
      const ask = async (url: string, choices: string[], contains = request.contains) => {
        const load: Load = { ...request, url, choices, contains }
        const startedAt = micros()
        const { requests, seconds } = await client.call('run', load)
        if (url !== peer.url) windows.push([startedAt, micros()])
        return requests / seconds
      }
      const figures = { ours: [] as number[], peer: [] as number[], short: [] as number[], long: [] as number[] }
      for (let round = 0; round <= rounds; round++) {
        const ours = await ask(`${parley.url}/graphql`, shuffled)
        const theirs = await ask(peer.url, shuffled)
        const shortOne = await ask(`${parley.url}/graphql`, [sessions[0]!])
        const longOne = await ask(`${parley.url}/graphql`, [longSession!], `"content":"${long}: `)
        if (round === 0) continue
        figures.ours.push(ours)
        figures.peer.push(theirs)
        figures.short.push(shortOne)
        figures.long.push(longOne)
      }
      for (const part of [client, peer, parley]) await part.stop()
      print({
        what: `any of ${count.toLocaleString('en')} sessions × ${each} messages`,
        unit: 'requests/s',
        ours: figures.ours,
        peer: { name: 'node:http', values: figures.peer },
        goal: { of: 'ratio', atLeast: 0.45 },
      })
      print({
        what: `a session of ${long.toLocaleString('en')} messages`,
        unit: 'requests/s',
        ours: figures.long,
        peer: { name: `one of ${each}`, values: figures.short },
        goal: { of: 'ratio', atLeast: 0.8 },
      })
      reportProfile(settings, 'pages', windows)
    } finally {
      await model.stop()
      rmSync(folder, { recursive: true, force: true })
    }
  },
}

/** Both sides must give the same messages, or their speed means nothing. */
async function requireSame(
  oursUrl: string,
  peerUrl: string,
  { headers }: Pick<Load, 'headers'>,
  id: string,
): Promise<void> {
  const ask = async (url: string) => {
    const body = JSON.stringify({ query, variables: { id } })
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
    })
    return (await response.json()) as unknown
  }
  const ours = (await ask(oursUrl)) as { data: { session: { messages: { edges: { node: Node }[] } } | null } }
  const { messages } = (await ask(peerUrl)) as { messages: Node[] }
  const nodes = ours.data.session?.messages.edges.map(({ node }) => node)
  if (messages.length !== 50 || JSON.stringify(nodes) !== JSON.stringify(messages))
    throw new Error(`the two sides differ: ${JSON.stringify(nodes?.[0] ?? ours)} and ${JSON.stringify(messages[0])}`)
}
