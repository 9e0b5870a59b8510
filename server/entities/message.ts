import { defineEntity, p, type InferEntity } from '@mikro-orm/core'

export const messageRoles = ['USER', 'ASSISTANT', 'SYSTEM'] as const
export type MessageRole = (typeof messageRoles)[number]
export const messageTypes = ['TEXT', 'AUDIO', 'IMAGE', 'FILE'] as const
export type MessageType = (typeof messageTypes)[number]
export const messageStatuses = ['PENDING', 'STREAMING', 'COMPLETE', 'STOPPED', 'FAILED', 'INTERRUPTED'] as const
export type MessageStatus = (typeof messageStatuses)[number]

export const MessageEntity = defineEntity({
  name: 'Message',
  tableName: 'messages',
  properties: {
    id: p.uuid().primary(),
    sessionId: p.uuid(),
    /** Position in the session: the `seq` of the event that added it. */
    seq: p.integer(),
    role: p.enum(messageRoles),
    type: p.enum(messageTypes),
    /** All text up to and with the delta `contentSeq`; what streams may be further on in the log. */
    content: p.text(),
    contentSeq: p.integer(),
    status: p.enum(messageStatuses),
    authorId: p.uuid().nullable(),
    parentId: p.uuid().nullable(),
    model: p.text().nullable(),
    metadata: p.json<Record<string, unknown>>(),
    createdAt: p.datetime(3),
    updatedAt: p.datetime(3),
  },
})
export type Message = InferEntity<typeof MessageEntity>
