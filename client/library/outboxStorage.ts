import type { Unsent } from './outbox.ts'

/** Where an outbox keeps what was not sent. Failures are survived: what is in memory is sent all the same. */
export interface OutboxStorage {
  /** Everything that was kept, in the order in which it was written. */
  load(): Promise<readonly Unsent[]>
  /** Keeps a message, in place of what was kept under its id. */
  put(message: Unsent): Promise<void>
  remove(id: string): Promise<void>
}

/** Keeps nothing beyond the outbox itself. */
export function memoryStorage(): OutboxStorage {
  return { load: async () => [], put: async () => {}, remove: async () => {} }
}
