import { graphql } from '../../gql/gql.ts'

export const MessageFields = graphql(`
  fragment MessageFields on Message {
    id
    role
    content
    status
    author {
      id
      name
    }
    parent {
      id
    }
    model {
      id
      name
      provider {
        name
      }
    }
    generation {
      id
      status
      responseTimeMs
      finishReason
    }
    usage {
      totalTokens
      isEstimated
    }
    error {
      code
      message
    }
    createdAt
  }
`)

export const OlderMessages = graphql(`
  query OlderMessages($id: ID!, $before: String!) {
    session(id: $id) {
      id
      messages(last: 50, before: $before) {
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

export const SendMessage = graphql(`
  mutation SendMessage($input: SendMessageInput!) {
    sendMessage(input: $input) {
      ... on SendMessageSuccess {
        sent {
          ...MessageFields
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`)

export const StopGeneration = graphql(`
  mutation StopGeneration($input: StopGenerationInput!) {
    stopGeneration(input: $input) {
      ... on StopGenerationSuccess {
        generation {
          id
          status
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`)
