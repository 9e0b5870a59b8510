import type { Metrics } from './metrics.ts'

/** Where the numbers are that nobody adds up before they are asked for. */
export interface Sources {
  sockets(): number
  eventStreams(): number
  /** What all WebSockets took so far. */
  bytesSent(): number
  groups(): number
  /** How many events each follower of a group is behind. */
  followersBehind(): number[]
  generations(): { PENDING: number; STREAMING: number }
  isBusUp(): boolean
  auditWaiting(): number
}

/** Shows what is open and how far behind it is, read at the moment that somebody asks. */
export function showSources(metrics: Metrics, sources: Sources): void {
  metrics.gauge('websockets', 'Open WebSockets.', () => sources.sockets())
  metrics.gauge('event_streams', 'Open event streams over HTTP.', () => sources.eventStreams())
  metrics.total('websocket_frames_sent_total', 'Frames with events that were sent over WebSockets.', () => {
    return metrics.traffic.frames
  })
  metrics.total('websocket_bytes_sent_total', 'Bytes that WebSockets took.', () => sources.bytesSent())
  metrics.total('events_rendered_total', 'Events made ready to be sent, once for all who get the same.', () => {
    return metrics.traffic.events
  })
  metrics.gauge('follow_groups', 'Groups of followers who get the same frames.', () => sources.groups())
  metrics.gauge('followers', 'Followers in them.', () => sources.followersBehind().length)
  metrics.gauges('follower_lag_events', 'Events that followers are behind now: max and mean.', 'of', () =>
    lagOf(sources.followersBehind()),
  )
  metrics.gauges('generations_running', 'Generations that run on this node, by status.', 'status', () => ({
    ...sources.generations(),
  }))
  metrics.gauge('bus_up', 'Whether messages reach other nodes: 1 or 0.', () => Number(sources.isBusUp()))
  metrics.gauge('audit_entries_waiting', 'Entries of the audit log that are not stored yet.', () =>
    sources.auditWaiting(),
  )
}

function lagOf(behind: readonly number[]): { max: number; mean: number } {
  let max = 0
  let sum = 0
  for (const events of behind) {
    max = Math.max(max, events)
    sum += events
  }
  return { max, mean: behind.length === 0 ? 0 : sum / behind.length }
}
