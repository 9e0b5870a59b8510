/**
 * The database can't be reached, or has not answered in time. Whether a write that was under way is stored is not known
 * then: whoever repeats it must be able to find out.
 */
export class DatabaseAwayError extends Error {
  constructor(cause: unknown) {
    super(`The database is away: ${cause instanceof Error ? cause.message || cause.name : String(cause)}`, { cause })
    this.name = 'DatabaseAwayError'
  }
}

/**
 * PostgreSQL's own codes (connection exceptions, shut down, starting up, too many connections; appendix A of its manual)
 * and those of the network.
 */
const awayCodes =
  /^(08...|57P0[1235]|53300|25P03|ECONNREFUSED|ECONNRESET|ECONNABORTED|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)$/

/** What pg says without a code. */
const awayMessages =
  /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|Client was closed and is not queryable)/

/** The same error, or what says that it means the database to be away. */
export function orAway(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof DatabaseAwayError) return error
  const { code } = error as { code?: unknown }
  const isAway = typeof code === 'string' ? awayCodes.test(code) : awayMessages.test(error.message)
  return isAway ? new DatabaseAwayError(error) : error
}
