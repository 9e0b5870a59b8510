import { defineEntity, p, type InferEntity } from '@mikro-orm/core'

export const SessionEventEntity = defineEntity({
  name: 'SessionEvent',
  tableName: 'session_events',
  properties: {
    logId: p.integer().primary(),
    seq: p.integer().primary(),
    /** Index into `eventKinds` of log/event.ts. */
    kind: p.smallint(),
    /** Id of the message, generation or user that the event tells of; null for a delta. */
    subjectId: p.uuid().nullable(),
    /** For a delta: `seq` of its message. A small number, since deltas are most of all rows. */
    messageSeq: p.integer().nullable(),
    /** For a delta: where its text begins in the message, in UTF-16 code units. */
    textOffset: p.integer().nullable(),
    /** A delta's text, a participant's role. */
    data: p.text().nullable(),
    createdAt: p.datetime(3),
  },
})
export type SessionEventRow = InferEntity<typeof SessionEventEntity>
