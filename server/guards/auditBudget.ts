import type { AuditNote } from './auditLog.ts'

interface Spent {
  rows: number
  /** What happened beyond them: how often, and the last time. */
  more: number
  last: AuditNote
}

/** So many are counted each for themselves, and all the others together. */
const maxCounted = 2_000

/** So many times what one address may are written of all refusals. */
const addressesWorth = 50

/** Typing goes on for as long as somebody writes: that it did is worth an entry a minute. */
const rowsOfTyping = 1

/**
 * How many entries may be written in a minute: of refusals for one address, of what worked for one person, action and
 * session. What comes beyond is only counted, so that whoever is refused again and again can't fill the disk.
 */
export class AuditBudget {
  readonly #rowsPerMinute: number
  readonly #refused = new Map<string, Spent>()
  readonly #done = new Map<string, Spent>()
  #refusals = 0

  constructor(rowsPerMinute: number) {
    this.#rowsPerMinute = rowsPerMinute
  }

  /** @returns whether an entry may be written of it */
  take(note: AuditNote): boolean {
    const spent = note.errorCode
      ? spentBy(`${note.address}`, note, this.#refused)
      : spentBy(`${note.userId} ${note.action} ${note.sessionId}`, note, this.#done)
    if (this.#mayWrite(note, spent.rows)) {
      spent.rows++
      if (note.errorCode) this.#refusals++
      return true
    }
    spent.more++
    spent.last = note
    return false
  }

  /** Begins the next minute. @returns an entry for each who had more than were written, which says how many */
  renew(): AuditNote[] {
    const notes: AuditNote[] = []
    for (const { more, last } of [...this.#refused.values(), ...this.#done.values()]) {
      if (more > 0) notes.push({ ...last, ...(last.errorCode ? mixed : {}), requestId: null, times: more })
    }
    this.#refused.clear()
    this.#done.clear()
    this.#refusals = 0
    return notes
  }

  #mayWrite({ action, errorCode }: AuditNote, rows: number): boolean {
    if (errorCode) return rows < this.#rowsPerMinute && this.#refusals < addressesWorth * this.#rowsPerMinute
    return rows < (action === 'setTyping' ? rowsOfTyping : this.#rowsPerMinute)
  }
}

function spentBy(wanted: string, note: AuditNote, counted: Map<string, Spent>): Spent {
  const key = counted.has(wanted) || counted.size < maxCounted ? wanted : 'others'
  let spent = counted.get(key)
  if (!spent) counted.set(key, (spent = { rows: 0, more: 0, last: note }))
  return spent
}

/** Of several refusals one entry can name the address, and the code of the last. */
const mixed = { action: 'refusals', userId: null, sessionId: null, subjectId: null }
