const key = 'parley.viewer'
const formerKey = 'parley.token'

/**
 * What this browser's tabs tell each other about who is signed in. The token itself lies in a cookie that no script can
 * read.
 */
export interface KnownViewer {
  /** Id of who was signed in last. */
  get(): string | undefined
  set(id: string): void
  /** Called when another tab has signed in as someone else. Returns what calls it off. */
  onChange(callback: () => void): () => void
  /** The token that an earlier version of this page kept where scripts can read it. */
  formerToken(): string | undefined
  forgetFormerToken(): void
}

export function createKnownViewer(storage: Storage = localStorage): KnownViewer {
  return {
    get: () => storage.getItem(key) ?? undefined,
    set: (id) => storage.setItem(key, id),
    onChange(callback) {
      const follow = (event: StorageEvent) => {
        if (event.key === key) callback()
      }
      window.addEventListener('storage', follow)
      return () => window.removeEventListener('storage', follow)
    },
    formerToken: () => storage.getItem(formerKey) ?? undefined,
    forgetFormerToken: () => storage.removeItem(formerKey),
  }
}
