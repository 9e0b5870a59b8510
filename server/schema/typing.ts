import { ForbiddenError, NotFoundError, RateLimitedError } from '../errors.ts'
import { setTyping } from '../resolvers/typing.ts'
import { builder } from './builder.ts'
import { resultUnion } from './errors.ts'

const SetTypingInput = builder.inputType('SetTypingInput', {
  description: 'Who types where.',
  fields: (t) => ({
    sessionId: t.id({ required: true, description: 'A session that the viewer may write in.' }),
    isTyping: t.boolean({ required: true, description: 'False once they have stopped or sent.' }),
  }),
})

const SetTypingSuccess = builder.objectRef<{ isTyping: boolean }>('SetTypingSuccess').implement({
  description: 'The others are told.',
  fields: (t) => ({
    isTyping: t.exposeBoolean('isTyping', { description: 'As it was said.' }),
  }),
})

builder.mutationField('setTyping', (t) =>
  t.field({
    type: resultUnion('SetTypingResult', 'What became of `setTyping`.', SetTypingSuccess, [
      NotFoundError,
      ForbiddenError,
      RateLimitedError,
    ]),
    description:
      "Tells the others in a session that the viewer types, or has stopped. Lasts a few seconds unless repeated. The typist's own connections don't hear it.",
    args: { input: t.arg({ type: SetTypingInput, required: true, description: 'Who types where.' }) },
    resolve: (_, { input }, ctx) => setTyping(ctx, input),
  }),
)
