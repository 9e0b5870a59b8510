import { graphql } from '../../gql/gql.ts'

export const Viewer = graphql(`
  query Viewer {
    viewer {
      id
      name
    }
  }
`)

export const SignInAsGuest = graphql(`
  mutation SignInAsGuest($input: SignInAsGuestInput!) {
    signInAsGuest(input: $input) {
      ... on SignInAsGuestSuccess {
        token
        user {
          id
          name
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`)

export const SignIn = graphql(`
  mutation SignIn($input: SignInInput!) {
    signIn(input: $input) {
      ... on SignInSuccess {
        user {
          id
          name
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`)

export const ParticipantFields = graphql(`
  fragment ParticipantFields on Participant {
    user {
      id
      name
    }
    role
    isOnline
  }
`)

export const InviteToSession = graphql(`
  mutation InviteToSession($input: InviteToSessionInput!) {
    inviteToSession(input: $input) {
      ... on InviteToSessionSuccess {
        token
        expiresAt
      }
      ... on Error {
        code
        message
      }
    }
  }
`)

export const JoinSession = graphql(`
  mutation JoinSession($input: JoinSessionInput!) {
    joinSession(input: $input) {
      ... on JoinSessionSuccess {
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

export const LeaveSession = graphql(`
  mutation LeaveSession($input: LeaveSessionInput!) {
    leaveSession(input: $input) {
      ... on LeaveSessionSuccess {
        sessionId
      }
      ... on Error {
        code
        message
      }
    }
  }
`)

export const RemoveParticipant = graphql(`
  mutation RemoveParticipant($input: RemoveParticipantInput!) {
    removeParticipant(input: $input) {
      ... on RemoveParticipantSuccess {
        session {
          id
          participants {
            ...ParticipantFields
          }
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`)

export const SetTyping = graphql(`
  mutation SetTyping($input: SetTypingInput!) {
    setTyping(input: $input) {
      ... on SetTypingSuccess {
        isTyping
      }
    }
  }
`)

export const UpdateViewer = graphql(`
  mutation UpdateViewer($input: UpdateViewerInput!) {
    updateViewer(input: $input) {
      ... on UpdateViewerSuccess {
        viewer {
          id
          name
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`)

export const SignOut = graphql(`
  mutation SignOut {
    signOut {
      ... on SignOutSuccess {
        user {
          id
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`)

export const DeleteViewer = graphql(`
  mutation DeleteViewer($input: DeleteViewerInput!) {
    deleteViewer(input: $input) {
      ... on DeleteViewerSuccess {
        userId
      }
      ... on Error {
        code
        message
      }
    }
  }
`)
