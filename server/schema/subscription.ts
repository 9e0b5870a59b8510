import { followMessage, followSession, followTyping } from '../resolvers/follow.ts'
import { viewerEvents } from '../resolvers/viewerEvents.ts'
import { builder } from './builder.ts'
import { MessageDelta, SessionEvent, TypingChanged } from './sessionEvent.ts'
import { ViewerEvent } from './viewerEvent.ts'

builder.subscriptionField('sessionEvents', (t) =>
  t.field({
    type: SessionEvent,
    description:
      'Everything in one session. With `after`: first all stored events beyond it, then live ones, with no hole and no ' +
      'repeat between them. Without: live ones from now on. Ends with an error once the viewer may no longer read it.',
    args: {
      sessionId: t.arg.id({ required: true, description: 'A session that the viewer may read.' }),
      after: t.arg.int({
        description:
          "A position in the session's log, not a cursor as lists take: the last `seq` that the client has, or `lastSeq` of the session as it read it.",
      }),
    },
    subscribe: (_, args, ctx) => followSession(ctx, args),
    resolve: (event) => event,
  }),
)

builder.subscriptionField('messageDeltas', (t) =>
  t.field({
    type: MessageDelta,
    description:
      "One message's text: what lies beyond `offset` first, as one delta with the `seq` of the last stored delta in it (or the message's own), then " +
      'live, ending when the message is whole.',
    args: {
      messageId: t.arg.id({ required: true, description: 'A message that the viewer may read.' }),
      offset: t.arg.int({
        required: true,
        defaultValue: 0,
        description:
          'How much of the text the client has, in UTF-16 code units; at most all of it where the message is whole. Of ' +
          'one that is being written it may be more than is stored so far: what lies beyond comes once it is there.',
      }),
    },
    subscribe: (_, args, ctx) => followMessage(ctx, args),
    resolve: (event) => event,
  }),
)

builder.subscriptionField('typing', (t) =>
  t.field({
    type: TypingChanged,
    description: 'Who begins and who stops typing in one session, but for the viewer.',
    args: { sessionId: t.arg.id({ required: true, description: 'A session that the viewer may read.' }) },
    subscribe: (_, args, ctx) => followTyping(ctx, args),
    resolve: (event) => event,
  }),
)

builder.subscriptionField('viewerEvents', (t) =>
  t.field({
    type: ViewerEvent,
    description: "What changes in the viewer's list of sessions, from now on, on any of their devices.",
    subscribe: (_source, _args, ctx) => viewerEvents(ctx),
    resolve: (event) => event,
  }),
)
