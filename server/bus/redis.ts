import { Redis } from 'ioredis'

/**
 * A connection to Redis that is made again for ever. While it is away, commands fail at once instead of waiting: what
 * goes over Redis must never hold up what does not need it.
 */
export function connectRedis(url: string, onAway: (error: Error) => void): Redis {
  const redis = new Redis(url, {
    enableOfflineQueue: false,
    enableAutoPipelining: true,
    maxRetriesPerRequest: 0,
    commandTimeout: 2_000,
    // what answers no command, and no ping of the bus, is open at this end only
    socketTimeout: 5_000,
    connectTimeout: 5_000,
    retryStrategy: (attempt) => Math.min(50 * 2 ** attempt, 2_000),
  })
  // each try to connect fails with an error of its own: one is enough to say that it is away
  let isAway = false
  redis.on('ready', () => (isAway = false))
  redis.on('error', (error) => {
    if (!isAway) onAway(error)
    isAway = true
  })
  return redis
}
