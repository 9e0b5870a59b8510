import { createStore, type Store } from '../../library/store.ts'

export interface Typist {
  id: string
  name: string
}

/** Who types and who is here, by session; both pass by too often to be worth a place in the cache. */
export interface PresenceStore {
  typists: Store<ReadonlyMap<string, readonly Typist[]>>
  /** By session id and user id: what the newest event said. */
  online: Store<ReadonlyMap<string, boolean>>
  setTyping(sessionId: string, user: Typist, isTyping: boolean): void
  setOnline(sessionId: string, userId: string, isOnline: boolean): void
  /** Forgets a session: what was heard before a gap may no longer be so. */
  forget(sessionId: string): void
  close(): void
}

/** Longer than the server's own timeout: it only covers for an end of typing that was lost on the way. */
const typingLastsMs = 8_000

export function createPresenceStore(): PresenceStore {
  const typists = createStore<ReadonlyMap<string, readonly Typist[]>>(new Map())
  const online = createStore<ReadonlyMap<string, boolean>>(new Map())
  const timers = new Map<string, ReturnType<typeof setTimeout>>()

  function setTyping(sessionId: string, user: Typist, isTyping: boolean) {
    const key = `${sessionId} ${user.id}`
    clearTimeout(timers.get(key))
    timers.delete(key)
    if (isTyping)
      timers.set(
        key,
        setTimeout(() => setTyping(sessionId, user, false), typingLastsMs),
      )
    const now = typists.get().get(sessionId) ?? []
    if (now.some(({ id }) => id === user.id) === isTyping) return
    const next = isTyping ? [...now, user] : now.filter(({ id }) => id !== user.id)
    typists.set(new Map(typists.get()).set(sessionId, next))
  }

  return {
    typists,
    online,
    setTyping,
    setOnline(sessionId, userId, isOnline) {
      online.set(new Map(online.get()).set(`${sessionId} ${userId}`, isOnline))
    },
    forget(sessionId) {
      for (const user of typists.get().get(sessionId) ?? []) setTyping(sessionId, user, false)
      online.set(new Map([...online.get()].filter(([key]) => !key.startsWith(`${sessionId} `))))
    },
    close() {
      for (const timer of timers.values()) clearTimeout(timer)
      timers.clear()
    },
  }
}
