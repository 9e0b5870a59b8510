/**
 * Extensions of a field or type whose value depends on who asks. Followers who select it share their events only with
 * themselves (websocket/shareable.ts).
 */
export const viewerDependent = { viewerDependent: true } as const
