import type { SessionEvent } from '../../server/log/event.ts'
import { readEvents } from '../../server/log/read.ts'
import type { Storage } from '../../server/storage/storage.ts'

/** Every stored event of a session, oldest first. */
export async function readAll(
  storage: Storage,
  session: { logId: number; sessionId: string },
): Promise<SessionEvent[]> {
  const all: SessionEvent[] = []
  while (true) {
    const batch = await readEvents(storage, session, all.at(-1)?.seq ?? 0)
    if (batch.length === 0) return all
    all.push(...batch)
  }
}

/**
 * What is wrong with what a follower got, compared with what is stored: every gap, repeat, inversion and text that
 * differs, each as a sentence. A delta may stand for several stored ones that follow each other.
 */
export function faultsOf(stored: readonly SessionEvent[], after: number, got: readonly SessionEvent[]): string[] {
  const faults: string[] = []
  let position = after
  for (const event of got) {
    const seq = event.seq!
    if (seq <= position) {
      faults.push(`${event.kind} ${seq} came after ${position}`)
      continue
    }
    const covered = stored.filter((one) => one.seq! > position && one.seq! <= seq)
    position = seq
    const [first] = covered
    if (covered.length === 1 && first!.kind === event.kind) {
      const same = ['subjectId', 'messageId', 'offset', 'text', 'role', 'sessionId'] as const
      for (const key of same) if (first![key] !== event[key]) faults.push(`${seq}: ${key} differs`)
    } else if (covered.some(({ kind, messageId }) => kind !== 'MessageDelta' || messageId !== event.messageId))
      faults.push(`${seq} stands for ${covered.map(({ kind, seq: one }) => `${kind} ${one}`).join(', ')}`)
    else if (first!.offset !== event.offset || covered.map(({ text }) => text).join('') !== event.text)
      faults.push(`${seq}: the joined text differs`)
  }
  const last = stored.at(-1)?.seq ?? 0
  if (position !== last) faults.push(`ended at ${position}, the log at ${last}`)
  return faults
}
