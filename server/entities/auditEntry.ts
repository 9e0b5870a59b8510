import { defineEntity, p, type InferEntity } from '@mikro-orm/core'
import { errorCodes } from '../errors.ts'

/** Who did what, from where, and whether it worked. Never holds the text of a message or a token. */
export const AuditEntryEntity = defineEntity({
  name: 'AuditEntry',
  tableName: 'audit_entries',
  properties: {
    id: p.uuid().primary(),
    userId: p.uuid().nullable(),
    address: p.text().nullable(),
    /** Name of the mutation. */
    action: p.text(),
    sessionId: p.uuid().nullable(),
    subjectId: p.uuid().nullable(),
    /** Null where it worked. */
    errorCode: p.enum(errorCodes).nullable(),
    durationMs: p.integer(),
    createdAt: p.datetime(3),
  },
})
export type AuditEntry = InferEntity<typeof AuditEntryEntity>
