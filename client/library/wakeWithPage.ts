interface Listens {
  addEventListener(type: string, listener: () => void): void
  removeEventListener(type: string, listener: () => void): void
}

/** Calls `wake` when the machine comes online or the page is seen again; does nothing where there is no page. */
export function wakeWithPage(wake: () => void): () => void {
  const { document, addEventListener } = globalThis as unknown as Partial<Listens> & {
    document?: Listens & { visibilityState: string }
  }
  if (!document || !addEventListener) return () => {}
  const page = globalThis as unknown as Listens
  const whenSeen = () => {
    if (document.visibilityState === 'visible') wake()
  }
  page.addEventListener('online', whenSeen)
  // A page that comes back from the browser's cache of pages had its sockets closed.
  page.addEventListener('pageshow', whenSeen)
  document.addEventListener('visibilitychange', whenSeen)
  return () => {
    page.removeEventListener('online', whenSeen)
    page.removeEventListener('pageshow', whenSeen)
    document.removeEventListener('visibilitychange', whenSeen)
  }
}
