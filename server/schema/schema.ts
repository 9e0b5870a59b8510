import type { GraphQLSchema } from 'graphql'
import { builder } from './builder.ts'
import { guardRootFields } from './rootFields.ts'
import './scalars.ts'
import './errors.ts'
import './node.ts'
import './user.ts'
import './apiKey.ts'
import './participant.ts'
import './session.ts'
import './invitation.ts'
import './message.ts'
import './generation.ts'
import './model.ts'
import './stats.ts'
import './audit.ts'
import './health.ts'
import './server.ts'
import './typing.ts'
import './sessionEvent.ts'
import './viewerEvent.ts'
import './subscription.ts'

builder.queryType({ description: 'What can be read. Errors are top-level ones, with `extensions.code`.' })
builder.mutationType({ description: 'What can be done. Failures that a client can act on are members of the result.' })
builder.subscriptionType({ description: 'What can be followed, over WebSocket or Server-Sent Events.' })

export const schema: GraphQLSchema = guardRootFields(builder.toSchema())
