import { defineEntity, p, type InferEntity } from '@mikro-orm/core'
import { errorCodes } from '../errors.ts'

/** Who did what, from where, and whether it worked. Never holds the text of a message, a title or a token. */
export const AuditEntryEntity = defineEntity({
  name: 'AuditEntry',
  tableName: 'audit_entries',
  properties: {
    /** A UUID of version 7: its time is the entry's. */
    id: p.uuid().primary(),
    userId: p.uuid().nullable(),
    address: p.text().nullable(),
    requestId: p.text().nullable(),
    /** Name of the root field; `signIn`, `connect`, `operation`, `request` or `refusals` where there is none. */
    action: p.text(),
    sessionId: p.uuid().nullable(),
    subjectId: p.uuid().nullable(),
    /** Null where it worked. */
    errorCode: p.enum(errorCodes).nullable(),
    durationMs: p.integer(),
    /** How often it happened, where one entry stands for several. */
    times: p.integer().default(1),
    createdAt: p.datetime(3),
  },
})
export type AuditEntry = InferEntity<typeof AuditEntryEntity>
