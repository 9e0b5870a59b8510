import { ConfigError } from '../../server/config/configError.ts'

/** Runs a command's work: what it can't do is said in one line, and ends the process with code 1. */
export function runCommand(work: () => Promise<void>): void {
  work().catch((error: unknown) => {
    const isExpected = error instanceof ConfigError
    process.stderr.write(`${isExpected ? error.message : String((error as Error)?.stack ?? error)}\n`)
    process.exitCode = 1
  })
}

/** The one file that a command is given. */
export function fileArgument(usage: string): string {
  const [file, ...others] = process.argv.slice(2)
  if (file === undefined || file.startsWith('-') || others.length > 0) throw new ConfigError(usage)
  return file
}
