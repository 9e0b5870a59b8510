import { writeFileSync } from 'node:fs'

/**
 * Loaded beside a server with --expose-gc: when it gets SIGUSR2 it collects its garbage, so that what stays can be weighed,
 * and writes the bytes in use to the file that BENCH_MEMORY_FILE names.
 */
process.on('SIGUSR2', () => {
  const { gc } = globalThis
  gc?.()
  setTimeout(() => {
    gc?.()
    const { heapUsed, external } = process.memoryUsage()
    writeFileSync(process.env.BENCH_MEMORY_FILE!, String(heapUsed + external))
  }, 50)
})
