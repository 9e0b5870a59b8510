import { readdirSync, readFileSync } from 'node:fs'

/**
 * Microseconds that all threads of a process have run so far, from the scheduler's own count, which is in nanoseconds.
 * Source: Documentation/scheduler/sched-stats.rst of Linux.
 */
export function cpuMicros(pid: number): number {
  const folder = `/proc/${pid}/task`
  let nanoseconds = 0
  for (const thread of readdirSync(folder))
    nanoseconds += Number(readFileSync(`${folder}/${thread}/schedstat`, 'utf8').split(' ')[0])
  return nanoseconds / 1e3
}

/** Bytes of a process that are in memory. */
export function residentBytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!
  return Number(kilobytes) * 1024
}
