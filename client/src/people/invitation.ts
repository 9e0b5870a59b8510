/** A link that lets whoever opens it join. The token stands behind `#`, which browsers send to no server. */
export function invitationLink(token: string, origin: string = location.origin): string {
  return `${origin}/join#token=${encodeURIComponent(token)}`
}

export function tokenOfInvitation(hash: string): string | undefined {
  return new URLSearchParams(hash.replace(/^#/, '')).get('token') ?? undefined
}
