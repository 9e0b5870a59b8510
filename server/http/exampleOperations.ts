/** Tabs that GraphiQL opens with: sign in, then these in their order. */
export const exampleTabs: { query: string }[] = [
  {
    query: `# 1. Make an account. Then put its token into the "Headers" of the other tabs:
#    { "authorization": "Bearer <token>" }
mutation SignIn {
  signInAsGuest(input: { name: "Ada" }) {
    ... on SignInAsGuestSuccess {
      token
      user { id name }
    }
    ... on Error { code message }
  }
}
`,
  },
  {
    query: `# 2. Make a session.
mutation CreateSession {
  createSession(input: {}) {
    ... on CreateSessionSuccess {
      session { id lastSeq model { id } }
    }
    ... on Error { code message }
  }
}
`,
  },
  {
    query: `# 3. Follow it (over WebSocket), in a tab of its own.
subscription Follow($sessionId: ID!, $after: Int) {
  sessionEvents(sessionId: $sessionId, after: $after) {
    __typename
    seq
    ... on MessageAdded { message { id role content } }
    ... on MessageDelta { messageId offset text }
    ... on GenerationEnded { message { status content } }
  }
}
`,
  },
  {
    query: `# 4. Send a message, and watch the answer arrive in the tab before.
mutation Send($sessionId: ID!) {
  sendMessage(input: { sessionId: $sessionId, content: "Hello! What can you do?" }) {
    ... on SendMessageSuccess {
      sent { id }
      reply { id status }
      generation { id }
    }
    ... on Error { code message }
  }
}
`,
  },
  {
    query: `# 5. Read what was said.
query Sessions {
  viewer { id name }
  sessions(first: 5) {
    totalCount
    nodes: edges {
      node {
        id
        title
        lastSeq
        messages(last: 10) {
          edges { node { role status content author { name } } }
        }
      }
    }
  }
}
`,
  },
]
