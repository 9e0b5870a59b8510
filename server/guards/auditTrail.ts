import { randomUUID } from 'node:crypto'
import type { ErrorCode } from '../errors.ts'

/** What is known of an HTTP request, or of one operation over a socket, for logs, the audit log and the metrics. */
export interface Trail {
  readonly requestId: string
  readonly address: string
  /** The audit log has what became of it. */
  isNoted: boolean
  /** It got as far as being executed. */
  isExecuted: boolean
  /** The first failure of it. */
  errorCode: ErrorCode | null
  /** Session that a mutation turned out to be about, where its input does not name it. */
  sessionId: string | null
}

export const createTrail = (requestId: string, address: string): Trail => ({
  requestId,
  address,
  isNoted: false,
  isExecuted: false,
  errorCode: null,
  sessionId: null,
})

const sane = /^[\w.-]{1,128}$/

/** The id that a client gave its request, where it can be logged and sent on as it is; else a new one. */
export const requestIdFrom = (header: string | string[] | undefined): string =>
  typeof header === 'string' && sane.test(header) ? header : inOnePiece(randomUUID())

/** A new UUID is a tree of two dozen strings, and is kept for as long as its socket is open. */
const inOnePiece = (text: string): string => Buffer.from(text, 'latin1').toString('latin1')
