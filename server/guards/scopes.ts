/** What a key for programs may be used for. A person's token has no such limit. */
export const scopes = ['read', 'write', 'admin'] as const
export type Scope = (typeof scopes)[number]
