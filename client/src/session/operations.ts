import { graphql } from '../../gql/gql.ts'

export const ListedSession = graphql(`
  fragment ListedSession on Session {
    id
    title
    isArchived
    updatedAt
    owner {
      id
      name
    }
    model {
      id
      name
      provider {
        name
      }
    }
  }
`)

export const Sessions = graphql(`
  query Sessions($after: String, $filter: SessionFilter) {
    sessions(first: 40, after: $after, filter: $filter) {
      edges {
        cursor
        node {
          ...ListedSession
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`)

export const SessionPage = graphql(`
  query SessionPage($id: ID!) {
    session(id: $id) {
      ...ListedSession
      lastSeq
      messageCount
      participants {
        ...ParticipantFields
      }
      messages(last: 50) {
        edges {
          cursor
          node {
            ...MessageFields
          }
        }
        pageInfo {
          hasPreviousPage
          startCursor
        }
      }
    }
  }
`)

export const SessionEvents = graphql(`
  subscription SessionEvents($sessionId: ID!, $after: Int) {
    sessionEvents(sessionId: $sessionId, after: $after) {
      __typename
      sessionId
      seq
      ... on MessageAdded {
        message {
          ...MessageFields
        }
      }
      ... on MessageUpdated {
        message {
          ...MessageFields
        }
      }
      ... on MessageDeleted {
        messageId
      }
      ... on MessageDelta {
        messageId
        offset
        text
      }
      ... on GenerationStarted {
        generation {
          id
          status
          message {
            id
          }
        }
      }
      ... on GenerationEnded {
        generation {
          id
          status
          responseTimeMs
        }
        message {
          ...MessageFields
        }
      }
      ... on SessionUpdated {
        session {
          ...ListedSession
        }
      }
      ... on ParticipantJoined {
        participant {
          ...ParticipantFields
        }
      }
      ... on ParticipantLeft {
        user {
          id
          name
        }
      }
      ... on ParticipantChanged {
        participant {
          ...ParticipantFields
        }
      }
      ... on TypingChanged {
        user {
          id
          name
        }
        isTyping
      }
      ... on PresenceChanged {
        user {
          id
          name
        }
        isOnline
      }
      ... on Resync {
        lastSeq
      }
    }
  }
`)

export const ViewerEvents = graphql(`
  subscription ViewerEvents {
    viewerEvents {
      __typename
      ... on SessionListed {
        session {
          ...ListedSession
        }
      }
      ... on SessionChanged {
        session {
          ...ListedSession
        }
      }
      ... on SessionUnlisted {
        sessionId
      }
    }
  }
`)

export const CreateSession = graphql(`
  mutation CreateSession($input: CreateSessionInput!) {
    createSession(input: $input) {
      ... on CreateSessionSuccess {
        session {
          ...ListedSession
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`)

export const UpdateSession = graphql(`
  mutation UpdateSession($input: UpdateSessionInput!) {
    updateSession(input: $input) {
      ... on UpdateSessionSuccess {
        session {
          ...ListedSession
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`)

export const DeleteSessions = graphql(`
  mutation DeleteSessions($input: DeleteSessionsInput!) {
    deleteSessions(input: $input) {
      ... on DeleteSessionsSuccess {
        sessionIds
      }
      ... on Error {
        code
        message
      }
    }
  }
`)

export const Providers = graphql(`
  query Providers {
    providers {
      name
      status
      models {
        id
        name
        provider {
          name
        }
      }
    }
  }
`)
