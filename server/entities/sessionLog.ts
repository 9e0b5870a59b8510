import { defineEntity, p, type InferEntity } from '@mikro-orm/core'

/**
 * Where a session's log stands. A narrow table of its own, since every stored delta counts `lastSeq` up: beside the
 * session's other columns each of those writes touched a page of its own (docs/decisions/session-log.md).
 */
export const SessionLogEntity = defineEntity({
  name: 'SessionLog',
  tableName: 'session_logs',
  properties: {
    /** Short key of the session in its events. */
    logId: p.integer().primary().autoincrement(),
    sessionId: p.uuid().unique(),
    lastSeq: p.integer(),
  },
})
export type SessionLog = InferEntity<typeof SessionLogEntity>
