import type { FinishReason as Reason } from '../entities/generation.ts'
import { ForbiddenError, NotFoundError } from '../errors.ts'
import { messageOfGeneration } from '../resolvers/events.ts'
import type { GenerationRow } from '../storage/rows.ts'
import { stopGeneration } from '../resolvers/stopGeneration.ts'
import { builder } from './builder.ts'
import { describedEnum } from './describedEnum.ts'
import { resultUnion } from './errors.ts'
import { MessageStatus } from './message.ts'
import { Model } from './model.ts'
import { Node } from './node.ts'
import { Generation, Message } from './refs.ts'

const FinishReason = describedEnum<Reason>('FinishReason', 'Why a model said no more, by the word of its provider.', {
  STOP: 'It came to its own end.',
  LENGTH: 'It came to `maxTokens`, or to the end of its context window: the text breaks off there.',
  CONTENT_FILTER: "The provider's filter left out the rest.",
  TOOL_CALLS: 'It asked for a tool instead.',
})

Generation.implement({
  description: 'One run of a model that writes one assistant message.',
  interfaces: [Node],
  fields: (t) => ({
    message: t.field({
      type: Message,
      description: 'What it writes.',
      resolve: (of, _args, ctx) => messageOfGeneration(ctx, of),
    }),
    status: t.expose('status', { type: MessageStatus, description: 'How far it has come.' }),
    model: t.field({
      type: Model,
      description: 'Who writes; after a fallback, the one that answered.',
      resolve: ({ model }, _args, ctx) => ctx.providers.find(model),
    }),
    attempts: t.exposeInt('attempts', {
      description: 'How often the provider was called; above 1 after a retry or a fallback.',
    }),
    timeToFirstTokenMs: t.exposeInt('timeToFirstTokenMs', {
      nullable: true,
      description: 'Milliseconds from its start to its first token; null until there is one.',
    }),
    responseTimeMs: t.exposeInt('responseTimeMs', {
      nullable: true,
      description: 'Milliseconds from its start to its end; null until it has ended.',
    }),
    finishReason: t.expose('finishReason', {
      type: FinishReason,
      nullable: true,
      description:
        'Why the model said no more; null until it has ended, where it did not complete, and where the provider did not say.',
    }),
    startedAt: t.expose('startedAt', { type: 'DateTime', description: 'When it was asked for.' }),
    endedAt: t.expose('endedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it ended; null while it runs.',
    }),
  }),
})

const StopGenerationInput = builder.inputType('StopGenerationInput', {
  description: 'What to stop.',
  fields: (t) => ({
    generationId: t.id({ required: true, description: 'A generation in a session that the viewer may write in.' }),
  }),
})

const StopGenerationSuccess = builder.objectRef<{ generation: GenerationRow }>('StopGenerationSuccess').implement({
  description: 'The generation runs no more.',
  fields: (t) => ({
    generation: t.expose('generation', {
      type: Generation,
      description: 'The generation as it ended; it may have ended by itself just before.',
    }),
  }),
})

builder.mutationField('stopGeneration', (t) =>
  t.field({
    type: resultUnion('StopGenerationResult', 'What became of `stopGeneration`.', StopGenerationSuccess, [
      NotFoundError,
      ForbiddenError,
    ]),
    description:
      "Stops an answer that is being written; what has arrived is kept. Returns once the provider's connection is closed, on whichever node.",
    args: { input: t.arg({ type: StopGenerationInput, required: true, description: 'What to stop.' }) },
    resolve: async (_, { input }, ctx) => ({ generation: await stopGeneration(ctx, input) }),
  }),
)
