import { buildApp, type App } from './app.ts'
import { dataFolder, describeSettings, readConfig, withoutPassword } from './config/config.ts'
import { ConfigError } from './config/configError.ts'
import { ensureClientBuilt } from './http/clientBuild.ts'
import { onSignals } from './signals.ts'

const help = `Parley: a chat server for language models with a typed GraphQL API.

Usage: npm start [-- --help]

Settings, from the environment:
${describeSettings()}
`

/** Starts the server with the settings of the environment, and stops it on SIGTERM or SIGINT. */
async function main(): Promise<void> {
  const args = process.argv.slice(2)
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(help)
    return
  }
  if (args.length > 0)
    throw new ConfigError(
      `${JSON.stringify(args[0])} is no argument of npm start: settings come from the environment, and npm start -- --help lists them.`,
    )
  const say = (line: string): void => void process.stdout.write(`${line}\n`)
  const config = readConfig()
  const clientFolder = await ensureClientBuilt(say)
  const app = await buildApp(config, { clientFolder })
  stopOnSignals(app, say)
  // what is stored is whole at any moment, and what an unknown error left behind in memory may not be
  process.on('uncaughtException', (error) => {
    app.services.logger.error('uncaught error, the server ends', { error })
    process.exit(1)
  })
  const url = await app.start()
  const { providers } = app.services
  const models = await providers.models()
  say(`Parley runs at ${url}`)
  for (const { name, status, error } of providers.list()) {
    const names = models.filter((model) => model.provider === name).map((model) => model.name)
    const shown = names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ')
    say(`  ${name}: ${names.length > 0 ? shown : `${status.toLowerCase()}${error ? `: ${error}` : ''}`}`)
  }
  say(`  default model: ${await providers.defaultModel()}`)
  say(`  API and GraphiQL: ${url}/graphql`)
  say(`  data: ${config.databaseUrl.startsWith('sqlite:') ? dataFolder(config) : withoutPassword(config.databaseUrl)}`)
}

/** The first signal lets running answers end, the second interrupts them, a third ends the process as it is. */
function stopOnSignals(app: App, say: (line: string) => void): void {
  const hurry = new AbortController()
  let signals = 0
  const onSignal = (): void => {
    signals++
    if (signals > 2) process.exit(1)
    if (signals === 2) return hurry.abort()
    say('Stopping: running answers may end first. Once more to interrupt them.')
    app.stop(hurry.signal).then(
      () => process.exit(0),
      (error: unknown) => fail(error),
    )
  }
  onSignals(['SIGTERM', 'SIGINT'], onSignal)
}

function fail(error: unknown): never {
  process.stderr.write(`${error instanceof ConfigError ? error.message : String((error as Error)?.stack ?? error)}\n`)
  process.exit(1)
}

main().catch(fail)
