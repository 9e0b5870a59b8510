import { randomUUIDv7 } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { MemoryBus } from './bus/memoryBus.ts'
import { connectRedis } from './bus/redis.ts'
import { RedisBus } from './bus/redisBus.ts'
import type { Config } from './config/config.ts'
import { ConfigError } from './config/configError.ts'
import type { Services } from './context.ts'
import { Generations } from './generation/generations.ts'
import { AuditLog } from './guards/auditLog.ts'
import { Identity } from './guards/identity.ts'
import { Limits } from './guards/limits.ts'
import { EventStreams } from './websocket/eventStreams.ts'
import { collectedOperationNames } from './http/persistedOperations.ts'
import { createHttpServer } from './http/router.ts'
import { createGraphqlServer } from './http/yoga.ts'
import { createLogger, type Logger } from './logger.ts'
import { showSources } from './metrics/gauges.ts'
import { measureStorage } from './metrics/measureStorage.ts'
import { Metrics } from './metrics/metrics.ts'
import { SessionLog } from './log/sessionLog.ts'
import { noDirectory, RedisDirectory } from './presence/directory.ts'
import { Presence } from './presence/presence.ts'
import { createProviders } from './providers/registry.ts'
import { openStorage } from './storage/openStorage.ts'
import type { Topics } from './topics.ts'
import { SharedFollows } from './websocket/sharedFollow.ts'
import { createSockets } from './websocket/server.ts'

export interface App {
  readonly services: Services
  /** @returns the URL that it listens on */
  start(): Promise<string>
  /**
   * Refuses new work, tells clients to come back, lets running generations end for a while, and closes everything.
   * @param hurry aborted, running generations are interrupted at once
   */
  stop(hurry?: AbortSignal): Promise<void>
}

/** What a caller may bring: tests leave the web client out and read the log. */
export interface AppParts {
  clientFolder?: string | null
  logger?: Logger
}

/** How long a start waits for Redis; without it the node begins on its own. */
const redisWaitMs = 3_000
const lastAnswersMs = 1_000

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

/** Makes every part of a server and wires them; nothing listens before `start`. */
export async function buildApp(config: Config, parts: AppParts = {}): Promise<App> {
  const logger = parts.logger ?? createLogger(config)
  const metrics = new Metrics(collectedOperationNames())
  const storage = measureStorage(await openStorage(config), metrics)
  const nodeId = randomUUIDv7()
  const redis = config.redisUrl
    ? connectRedis(config.redisUrl, (error) => logger.warn('Redis is away', { error }))
    : null
  const onFollowerError = (error: unknown): void => logger.error('a follower failed', { error })
  const onRefused = (error: unknown): void => logger.warn('Redis refuses a subscription; it is tried again', { error })
  const bus = redis
    ? new RedisBus<Topics>(redis, nodeId, onFollowerError, onRefused)
    : new MemoryBus<Topics>(onFollowerError)
  if (bus instanceof RedisBus) await bus.untilUp(redisWaitMs)
  const log = new SessionLog(storage, bus)
  const presence = new Presence(storage, bus, log, logger, {
    typingTimeoutMs: config.typingTimeoutMs,
    directory: redis ? new RedisDirectory(redis, nodeId) : noDirectory,
  })
  const providers = createProviders(config, { onCall: (call) => metrics.providerCalled(call) })
  const generations = new Generations({ config, logger, storage, bus, log, providers, nodeId, observer: metrics })
  const services: Services = {
    config,
    logger,
    storage,
    bus,
    log,
    presence,
    providers,
    generations,
    identity: await Identity.open(config, storage, bus, logger),
    limits: new Limits(config, redis),
    audit: new AuditLog(storage, logger, config),
    metrics,
    version,
    connectionCount: () => sockets.count() + streams.count(),
  }
  const shared = new SharedFollows()
  const streams = new EventStreams(shared, config)
  const graphqlServer = createGraphqlServer(services, (args) => streams.subscribe(args))
  const sockets = createSockets({ services, graphqlServer, shared })
  showSources(metrics, {
    sockets: () => sockets.count(),
    eventStreams: () => streams.count(),
    bytesSent: () => sockets.bytesSent(),
    groups: () => shared.groupCount(),
    followersBehind: () => shared.lags(),
    generations: () => generations.runningByState(),
    isBusUp: () => bus.isUp,
    auditWaiting: () => services.audit.waiting,
  })
  let isReady = false
  const http = createHttpServer({
    services,
    graphqlServer,
    clientFolder: parts.clientFolder ?? null,
    isReady: () => isReady,
  })
  http.on('upgrade', (request, socket, head) => sockets.upgrade(request, socket, head))

  return {
    services,
    async start() {
      log.start()
      await services.identity.start()
      services.audit.start()
      await presence.start()
      await generations.start()
      await new Promise<void>((resolve, reject) => {
        http.once('error', (error: NodeJS.ErrnoException) => reject(listenError(config, error)))
        http.listen(config.port, config.host, resolve)
      })
      isReady = true
      const { address, port, family } = http.address() as AddressInfo
      return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
    },
    async stop(hurry) {
      isReady = false
      const spreadMs = Math.min(config.shutdownSpreadMs, config.shutdownTimeoutMs)
      const ended = generations.close(config.shutdownTimeoutMs, hurry)
      // listens on meanwhile, so that whoever asks for readiness is told; then new connections find another node at once
      await Promise.all([
        sockets.close(spreadMs, hurry),
        Promise.race([ended, delay(spreadMs, undefined, { ref: false })]),
      ])
      const closed = new Promise<void>((resolve) => http.close(() => resolve()))
      await ended
      // ends event streams
      log.stop()
      await endConnections(http, closed)
      presence.stop()
      services.identity.stop()
      await services.audit.stop()
      await providers.close()
      await bus.close()
      redis?.disconnect()
      await storage.close()
    },
  }
}

/** What is being answered has a moment to be answered; whoever is cut off asks again. */
async function endConnections(http: Server, closed: Promise<void>): Promise<void> {
  const sweep = setInterval(() => http.closeIdleConnections(), 20)
  await Promise.race([closed, delay(lastAnswersMs, undefined, { ref: false })])
  clearInterval(sweep)
  http.closeAllConnections()
  await closed
}

function listenError({ host, port }: Config, error: NodeJS.ErrnoException): Error {
  if (error.code === 'EADDRINUSE')
    return new ConfigError(
      `PORT is ${port}, which something else on ${host} uses; it may be any free port, or 0 to take one.`,
    )
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND')
    return new ConfigError(`HOST is "${host}", which is not an address of this machine.`)
  return error
}
