import { expect, test } from 'vitest'
import { importsOf, readImports, type Import } from './readImports.ts'

/** The rooms of server/, from the door to the foundation. What stands on one line may import its neighbours. */
const floors = [
  ['main'],
  ['app'],
  ['http', 'websocket'],
  ['schema'],
  ['context'],
  ['resolvers'],
  ['guards', 'generation', 'log', 'presence', 'topics', 'metrics'],
  ['providers', 'bus', 'storage'],
  ['entities'],
  ['errors', 'config', 'logger', 'signals', 'eventLoop'],
]

const floorOf = (room: string) => floors.findIndex((rooms) => rooms.includes(room))
const roomOf = (path: string) => /^server\/([^/.]+)/.exec(path)?.[1] ?? ''
const isGraphQL = (name: string) => /^(graphql|@pothos|@graphql-yoga|@escape\.tech)(\/|-|$)/.test(name)

/** Resolvers and guards are given the context, and all who publish share the map of topics: they may name these types. */
const isSharedType = ({ from, to, isTypeOnly }: Import) =>
  isTypeOnly &&
  ((roomOf(to) === 'context' && ['resolvers', 'guards'].includes(roomOf(from))) ||
    (roomOf(to) === 'topics' && floorOf(roomOf(from)) === floorOf('topics')))

function explainViolation(found: Import): string | undefined {
  const { from, to } = found
  const [fromRoom, toRoom] = [roomOf(from), roomOf(to)]
  const line = `${from} imports ${to}`
  if (floorOf(fromRoom) === -1) return `${from} is in a room that the plan of the house does not know`
  if (isGraphQL(to)) {
    const mayKnow = floorOf(fromRoom) <= floorOf('schema')
    return mayKnow ? undefined : `${line}: only schema and what is above it may know GraphQL`
  }
  if (!to.includes('/') || !/\.tsx?$/.test(to)) return undefined
  if (toRoom === '') return `${line}: the server imports nothing outside server/`
  if (floorOf(toRoom) === -1) return `${line}, in a room that the plan of the house does not know`
  if (floorOf(toRoom) < floorOf(fromRoom) && !isSharedType(found)) return `${line}: that runs upwards`
  return undefined
}

/** A way through the rooms that leads back to where it began, if there is one. */
function findCircle(imports: Import[]): string[] | undefined {
  const next = new Map<string, Set<string>>()
  for (const found of imports) {
    const [fromRoom, toRoom] = [roomOf(found.from), roomOf(found.to)]
    if (toRoom === '' || fromRoom === toRoom || isSharedType(found)) continue
    next.set(fromRoom, (next.get(fromRoom) ?? new Set()).add(toRoom))
  }
  const done = new Set<string>()
  const walk = (room: string, way: string[]): string[] | undefined => {
    if (way.includes(room)) return [...way.slice(way.indexOf(room)), room]
    if (done.has(room)) return undefined
    for (const neighbour of next.get(room) ?? []) {
      const circle = walk(neighbour, [...way, room])
      if (circle) return circle
    }
    done.add(room)
    return undefined
  }
  for (const room of next.keys()) {
    const circle = walk(room, [])
    if (circle) return circle
  }
  return undefined
}

test("the server's imports run one way, from the door to the foundation", async () => {
  const imports = await readImports('server')
  expect(imports.length).toBeGreaterThan(50)
  expect(imports.map(explainViolation).filter((line) => line !== undefined)).toEqual([])
})

test("the server's rooms know each other without a circle", async () => {
  expect(findCircle(await readImports('server'))).toBeUndefined()
})

test('the client takes nothing from the server but its schema', async () => {
  const imports = await readImports('client')
  const outside = imports.filter(({ to }) => /^(server|scripts|tests|bench|\.\.)\//.test(to))
  expect(outside).toEqual([])
})

test.each([
  ['server/storage/orm.ts', "import { log } from '../log/log.ts'", 'runs upwards'],
  ['server/log/tail.ts', "export { resolve } from '../resolvers/message.ts'", 'runs upwards'],
  ['server/bus/redis.ts', "const late = await import('../http/router.ts')", 'runs upwards'],
  ['server/resolvers/message.ts', "import { createContext } from '../context.ts'", 'runs upwards'],
  ['server/log/tail.ts', "import type { Context } from '../context.ts'", 'runs upwards'],
  ['server/guards/depth.ts', "import { parse } from 'graphql'", 'may know GraphQL'],
  ['server/resolvers/message.ts', "import type { X } from '@pothos/core'", 'may know GraphQL'],
  ['server/http/router.ts', "import { build } from '../../scripts/build.ts'", 'nothing outside'],
  ['server/kitchen/stove.ts', "import { log } from '../log/log.ts'", 'does not know'],
])('an import that must not be is noticed: %s: %s', (from, source, reason) => {
  expect(importsOf(from, source).map(explainViolation)).toEqual([expect.stringContaining(reason)])
})

test.each([
  ['server/resolvers/message.ts', "import type { Context } from '../context.ts'"],
  ['server/guards/access.ts', "import { type Context } from '../context.ts'"],
  ['server/websocket/server.ts', "import { parse } from 'graphql'"],
  ['server/generation/write.ts', "import { append } from '../log/append.ts'"],
  ['server/storage/orm.ts', "import { readFile } from 'node:fs/promises'"],
])('an import that may be is let through: %s: %s', (from, source) => {
  expect(importsOf(from, source).map(explainViolation)).toEqual([undefined])
})

test('two rooms of one floor that import each other are a circle', () => {
  const imports = [
    ...importsOf('server/generation/write.ts', "import { append } from '../log/append.ts'"),
    ...importsOf('server/log/append.ts', "import type { Generation } from '../generation/run.ts'"),
  ]
  expect(findCircle(imports)).toEqual(['generation', 'log', 'generation'])
})
