import { extendTail, type Delta, type Tail } from '../../library/fold.ts'

/** Runs a callback before the next picture is drawn; on a page that draws none, soon. */
export type Schedule = (flush: () => void) => void

export const everyFrame: Schedule = (flush) => {
  // Hidden pages get no animation frames.
  if (document.hidden) setTimeout(flush, 250)
  else requestAnimationFrame(flush)
}

/** Tails of the messages that stream now, beside the cache: writing each delta there costs more with every message. */
export interface DeltaStore {
  add(delta: Delta): void
  /** The tail as of the last flush. */
  get(messageId: string): Tail | undefined
  /** Forgets a message's tail, since its whole content is in the cache. */
  drop(messageId: string): void
  clear(): void
  subscribe(messageId: string, listener: () => void): () => void
}

export function createDeltaStore(schedule: Schedule = everyFrame): DeltaStore {
  const newest = new Map<string, Tail>()
  const shown = new Map<string, Tail>()
  const changed = new Set<string>()
  const listeners = new Map<string, Set<() => void>>()
  let isScheduled = false

  function flush() {
    isScheduled = false
    for (const id of changed) {
      const tail = newest.get(id)
      if (tail) shown.set(id, tail)
      tell(id)
    }
    changed.clear()
  }

  function tell(id: string) {
    for (const listener of [...(listeners.get(id) ?? [])]) listener()
  }

  function drop(id: string) {
    newest.delete(id)
    changed.delete(id)
    if (shown.delete(id)) tell(id)
  }

  return {
    add(delta) {
      newest.set(delta.messageId, extendTail(newest.get(delta.messageId), delta))
      changed.add(delta.messageId)
      if (isScheduled) return
      isScheduled = true
      schedule(flush)
    },
    get: (id) => shown.get(id),
    drop,
    clear() {
      for (const id of [...newest.keys()]) drop(id)
    },
    subscribe(id, listener) {
      const set = listeners.get(id) ?? new Set()
      listeners.set(id, set.add(listener))
      return () => {
        set.delete(listener)
        if (set.size === 0 && listeners.get(id) === set) listeners.delete(id)
      }
    },
  }
}
