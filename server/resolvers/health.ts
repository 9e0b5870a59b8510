import type { Context } from '../context.ts'

export interface Health {
  service: string
  status: 'HEALTHY' | 'DEGRADED' | 'UNHEALTHY'
  timestamp: Date
  activeConnections: number
  runningGenerations: number
  version: string
}

/** How this node does. Never throws: what does not answer is what it tells of. */
export async function health(ctx: Context): Promise<Health> {
  const [isStored, isAnswered] = await Promise.all([
    ctx.storage.check().then(
      () => true,
      () => false,
    ),
    ctx.providers.models().then(
      (models) => models.length > 0,
      () => false,
    ),
  ])
  return {
    service: 'parley',
    status: !isStored ? 'UNHEALTHY' : isAnswered && ctx.bus.isUp ? 'HEALTHY' : 'DEGRADED',
    timestamp: new Date(),
    activeConnections: ctx.connectionCount(),
    runningGenerations: ctx.generations.runningCount(),
    version: ctx.version,
  }
}
