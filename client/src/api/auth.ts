import { createStore, type Store } from '../../library/store.ts'

const key = 'parley.token'

/** The viewer's token, kept in this browser and shared by its tabs. */
export interface TokenStore extends Store<string | undefined> {
  close(): void
}

export function createTokenStore(storage: Storage = localStorage): TokenStore {
  const store = createStore(storage.getItem(key) ?? undefined)
  const follow = (event: StorageEvent) => {
    if (event.key === key) store.set(event.newValue ?? undefined)
  }
  window.addEventListener('storage', follow)
  return {
    ...store,
    set(token) {
      if (token === undefined) storage.removeItem(key)
      else storage.setItem(key, token)
      store.set(token)
    },
    close: () => window.removeEventListener('storage', follow),
  }
}
