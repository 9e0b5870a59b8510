/** The part of the API that fan-out needs, and the selection that all sides are asked for. */
export const typeDefs = /* GraphQL */ `
  type Query {
    isUp: Boolean!
  }
  interface SessionEvent {
    sessionId: ID!
    seq: Int
  }
  type MessageDelta implements SessionEvent {
    sessionId: ID!
    seq: Int
    messageId: ID!
    offset: Int!
    text: String!
  }
  type SessionDeleted implements SessionEvent {
    sessionId: ID!
    seq: Int
  }
  type Subscription {
    sessionEvents(sessionId: ID!, after: Int): SessionEvent!
  }
`

export const followQuery = /* GraphQL */ `
  subscription ($sessionId: ID!, $after: Int) {
    sessionEvents(sessionId: $sessionId, after: $after) {
      __typename
      seq
      ... on MessageDelta {
        messageId
        offset
        text
      }
    }
  }
`

export interface Delta {
  __typename: 'MessageDelta'
  sessionId: string
  seq: number
  messageId: string
  offset: number
  text: string
}

export const delta = (sessionId: string, n: number, text: string): Delta => ({
  __typename: 'MessageDelta',
  sessionId,
  seq: n + 1,
  messageId: '0198c1a0-0000-7000-8000-000000000000',
  offset: n * text.length,
  text,
})
