import { readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Settings } from './benchmark.ts'

interface CpuProfile {
  /** Microseconds since the machine started. */
  startTime: number
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[]
  samples: number[]
  timeDeltas: number[]
}

/** Arguments that make Node write a CPU profile when it ends, where profiles are wanted. */
export const profileArgs = ({ profileFolder }: Settings): string[] =>
  profileFolder ? ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`, '--cpu-prof-interval=500'] : []

/** From and until when, in microseconds. */
export type Window = [from: number, until: number]

/** Prints the functions in which the newest profile's process spent its time while it was measured. */
export function reportProfile({ profileFolder }: Settings, what: string, windows: Window[]): void {
  if (!profileFolder) return
  // worker threads write profiles too; that of the main thread is by far the largest
  const files = readdirSync(profileFolder)
    .filter((name) => name.startsWith('CPU.'))
    .map((name) => join(profileFolder, name))
    .sort((a, b) => statSync(b).size - statSync(a).size)
  if (files.length === 0) return
  const kept = join(profileFolder, `${what.replaceAll(' ', '-')}.cpuprofile`)
  renameSync(files.shift()!, kept)
  for (const file of files) rmSync(file)
  const { startTime, nodes, samples, timeDeltas } = JSON.parse(readFileSync(kept, 'utf8')) as CpuProfile
  const names = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
      const place = url ? ` (${url.replace(/^.*\/(node_modules|server)\//, '$1/')}:${lineNumber + 1})` : ''
      return [id, `${functionName || '(anonymous)'}${place}`]
    }),
  )
  const owners = new Map(nodes.map(({ id, callFrame: { url } }) => [id, ownerOf(url)]))
  const selfMicros = new Map<string, number>()
  const ownerMicros = new Map<string, number>()
  let at = startTime
  let busy = 0
  for (const [index, id] of samples.entries()) {
    const micros = timeDeltas[index]!
    at += micros
    const name = names.get(id)!
    if (name === '(idle)' || !windows.some(([from, until]) => at >= from && at <= until)) continue
    busy += micros
    selfMicros.set(name, (selfMicros.get(name) ?? 0) + micros)
    ownerMicros.set(owners.get(id)!, (ownerMicros.get(owners.get(id)!) ?? 0) + micros)
  }
  process.stdout.write(`  Profile of ${what}: ${kept}\n`)
  const list = (micros: Map<string, number>, count: number) => {
    for (const [name, self] of [...micros].sort(([, a], [, b]) => b - a).slice(0, count))
      process.stdout.write(`    ${((self / busy) * 100).toFixed(1).padStart(5)} %  ${name}\n`)
  }
  list(selfMicros, 20)
  process.stdout.write('  by whose code it is:\n')
  list(ownerMicros, 14)
}

/** A package, a folder of the server, or Node itself. */
function ownerOf(url: string): string {
  const packaged = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1]
  if (packaged) return packaged
  const ours = /\/server\/([^/]+)/.exec(url)?.[1]
  if (ours) return `server/${ours}`
  return url.startsWith('node:') ? 'Node' : url ? 'compiled' : 'native code and garbage collection'
}
