import { RefusedToken, type Tokens } from './tokens.ts'

/** `fetch` that shows the token, and tries once more with another where the server answers 401. */
export function fetchWithToken(tokens: Tokens, plainFetch: typeof fetch = fetch): typeof fetch {
  const send = (input: Parameters<typeof fetch>[0], init: RequestInit | undefined, token: string | undefined) => {
    const headers = new Headers(init?.headers)
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
    return plainFetch(input, { ...init, headers })
  }

  return async (input, init) => {
    try {
      const token = await tokens.get()
      const response = await send(input, init, token)
      if (response.status !== 401 || token === undefined) return response
      tokens.refuse(token)
      return await send(input, init, await tokens.get())
    } catch (error) {
      if (error instanceof RefusedToken) return refusal(error)
      throw error
    }
  }
}

/** What the server would say, were it asked again. */
function refusal({ message, extensions }: RefusedToken): Response {
  return Response.json({ errors: [{ message, extensions }] }, { status: 401 })
}
