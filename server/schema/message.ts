import type { GraphQLResolveInfo } from 'graphql'
import type { MessageRole as Role, MessageStatus as Status, MessageType as Type } from '../entities/message.ts'
import {
  ConflictError,
  ForbiddenError,
  InvalidInputError,
  NotFoundError,
  ProviderUnavailableError,
  RateLimitedError,
  type ErrorCode as Code,
} from '../errors.ts'
import { generationOfMessage, message } from '../resolvers/message.ts'
import type { GenerationRow, MessagePart, MessageRow } from '../storage/rows.ts'
import { sendMessage } from '../resolvers/sendMessage.ts'
import { builder } from './builder.ts'
import { connectionType } from './connection.ts'
import { describedEnum } from './describedEnum.ts'
import { ErrorCode, resultUnion } from './errors.ts'
import { fieldsAsked } from './fieldsAsked.ts'
import { Model } from './model.ts'
import { Node } from './node.ts'
import { Generation, Message, Session } from './refs.ts'
import { GenerationSettingsInput } from './settings.ts'
import { TokenUsage } from './usage.ts'
import { User } from './user.ts'

const MessageRole = describedEnum<Role>('MessageRole', 'On whose side a message stands.', {
  USER: 'A person wrote it.',
  ASSISTANT: 'A model wrote it.',
  SYSTEM: 'The server put it there.',
})

const MessageType = describedEnum<Type>('MessageType', 'What a message carries.', {
  TEXT: 'Text.',
  AUDIO: 'A recording.',
  IMAGE: 'A picture.',
  FILE: 'Any other file.',
})

export const MessageStatus = describedEnum<Status>('MessageStatus', 'How far a message and its generation have come.', {
  PENDING: 'An assistant message whose generation has not produced its first token.',
  STREAMING: 'Its text is arriving.',
  COMPLETE: 'It is whole, as far as the model went: `generation.finishReason` tells of an answer that a limit cut.',
  STOPPED: 'Someone stopped it; what had arrived is kept.',
  FAILED: 'The provider failed; what had arrived is kept, `error` says why.',
  INTERRUPTED: 'The server that was writing it died; what anyone had seen is kept.',
})

const GenerationError = builder.objectRef<{ code: Code; message: string }>('GenerationError').implement({
  description: 'Why a generation did not complete.',
  fields: (t) => ({
    code: t.expose('code', { type: ErrorCode, description: 'What went wrong, for programs.' }),
    message: t.exposeString('message', { description: 'What went wrong and what to do, for people.' }),
  }),
})

Message.implement({
  description: 'What someone, or a model, said in a session.',
  interfaces: [Node],
  fields: (t) => ({
    session: t.field({
      type: Session,
      description: 'Where it was said.',
      resolve: ({ sessionId }, _args, ctx) => ctx.loaders.session.load(sessionId),
    }),
    role: t.expose('role', { type: MessageRole, description: 'On whose side it stands.' }),
    type: t.expose('type', { type: MessageType, description: 'What it carries.' }),
    content: t.exposeString('content', { description: 'All text that is stored so far, also while it streams.' }),
    status: t.expose('status', { type: MessageStatus, description: 'How far it has come.' }),
    author: t.field({
      type: User,
      nullable: true,
      description: "Who wrote it; null for the model's and the system's.",
      resolve: ({ authorId }, _args, ctx) => (authorId ? ctx.loaders.author(authorId) : null),
    }),
    parent: t.field({
      type: Message,
      nullable: true,
      description: 'The message that this one follows; null for a first message.',
      resolve: ({ parentId }, _args, ctx) => (parentId ? ctx.loaders.message.load(parentId) : null),
    }),
    model: t.field({
      type: Model,
      nullable: true,
      description: 'Who wrote it, or was asked to; null for a message that no model writes.',
      resolve: ({ model }, _args, ctx) => (model ? ctx.providers.find(model) : null),
    }),
    generation: t.field({
      type: Generation,
      nullable: true,
      description: 'The run of the model that writes it; null for a message that no model writes.',
      resolve: async (of, _args, ctx) => (await generationOfMessage(ctx, of))?.generation,
    }),
    usage: t.field({
      type: TokenUsage,
      nullable: true,
      description: 'Tokens that it took; null until its generation has ended, and for a message that no model writes.',
      resolve: async (of, _args, ctx) => (await generationOfMessage(ctx, of))?.usage,
    }),
    error: t.field({
      type: GenerationError,
      nullable: true,
      description: 'Why it is not whole; null where it is, or is not ended.',
      resolve: async (of, _args, ctx) => (await generationOfMessage(ctx, of))?.error,
    }),
    metadata: t.expose('metadata', {
      type: 'JSONObject',
      description: 'What clients keep with it; means nothing to the server.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was stored.' }),
    updatedAt: t.expose('updatedAt', {
      type: 'DateTime',
      description: 'When it was last changed, tokens that stream aside.',
    }),
  }),
})

export const MessageConnection = connectionType(Message, 'messages')

const partOf: Record<string, MessagePart> = {
  ...{ type: 'type', content: 'content', author: 'authorId', parent: 'parentId', model: 'model' },
  ...{ metadata: 'metadata', updatedAt: 'updatedAt' },
}

/** What an operation asks of messages anywhere: its rows are shared by all that it asks for. */
export function messagePartsAsked(info: GraphQLResolveInfo): MessagePart[] {
  const asked = fieldsAsked(info)
  return Object.entries(partOf).flatMap(([field, part]) => (asked.has(`Message.${field}`) ? [part] : []))
}

builder.queryField('message', (t) =>
  t.field({
    type: Message,
    nullable: true,
    description: 'One message: null where there is none or the viewer may not read it.',
    args: { id: t.arg.id({ required: true, description: 'Id of the message.' }) },
    resolve: (_, args, ctx) => message(ctx, args),
  }),
)

const SendMessageInput = builder.inputType('SendMessageInput', {
  description: 'What to say, and how it shall be answered.',
  fields: (t) => ({
    sessionId: t.id({ required: true, description: 'A session that the viewer may write in.' }),
    content: t.string({ required: true, description: '1 to 32,000 characters.' }),
    id: t.id({
      description:
        'Made by the client (a UUID). The same id with the same content from the same author is the same message: ' +
        'it is stored once, answered once, and every repeat returns it. With another content: ConflictError.',
    }),
    parentId: t.id({
      description:
        'The message that this one follows, in the same session, else NotFoundError; the newest where left out.',
    }),
    respond: t.boolean({ defaultValue: true, description: 'Whether the model shall answer.' }),
    model: t.id({ description: 'For this reply alone: id of a model, as `models` lists it.' }),
    settings: t.field({
      type: GenerationSettingsInput,
      description: "For this reply alone: settings over the session's.",
    }),
    metadata: t.field({ type: 'JSONObject', description: 'Anything to keep with it: at most 16 KiB as JSON.' }),
  }),
})

const SendMessageSuccess = builder
  .objectRef<{ sent: MessageRow; reply: MessageRow | null; generation: GenerationRow | null }>('SendMessageSuccess')
  .implement({
    description: 'The message is stored.',
    fields: (t) => ({
      sent: t.expose('sent', {
        type: Message,
        description:
          'The message that was stored. (Not called `message`: one selection could then not also ask an Error for its `message`.)',
      }),
      reply: t.expose('reply', {
        type: Message,
        nullable: true,
        description: "The assistant's message, still empty; null where `respond` is false.",
      }),
      generation: t.expose('generation', {
        type: Generation,
        nullable: true,
        description: 'The run of the model that was started; null where `respond` is false.',
      }),
    }),
  })

builder.mutationField('sendMessage', (t) =>
  t.field({
    type: resultUnion(
      'SendMessageResult',
      'What became of `sendMessage`. It never is ProviderUnavailableError: where the provider is away the message is stored, ' +
        'and its reply is FAILED with PROVIDER_UNAVAILABLE.',
      SendMessageSuccess,
      [InvalidInputError, NotFoundError, ForbiddenError, ConflictError, RateLimitedError, ProviderUnavailableError],
    ),
    description:
      'Stores the message and, unless `respond` is false, starts a generation; returns without waiting for the model.',
    args: { input: t.arg({ type: SendMessageInput, required: true, description: 'What to say.' }) },
    resolve: (_, { input }, ctx) => sendMessage(ctx, input),
  }),
)
