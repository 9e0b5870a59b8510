import type { Clock } from './clock.ts'

/** What became of a call. `unknown`: it was stopped, or failed for a reason that is not the provider's. */
export type Outcome = 'success' | 'failure' | 'unknown'

export interface Permit {
  /** The provider produced something: enough for a trial call to let others follow while it still runs. */
  alive(): void
  /** Once, when the call has ended. */
  end(outcome: Outcome): void
}

export interface BreakerState {
  /** Whether calls are refused now. */
  isOpen: boolean
  /** Milliseconds until the next call may be tried; 0 unless open. */
  retryAfterMs: number
  failuresInARow: number
  /** By the clock; undefined where it never happened. */
  lastSuccessAt: number | undefined
  lastFailureAt: number | undefined
}

export interface CircuitBreaker {
  /** Permission for one call; undefined while open. */
  enter(): Permit | undefined
  state(): BreakerState
}

export interface BreakerOptions {
  clock: Clock
  /** Failures in a row that open it. */
  failures: number
  /** Milliseconds before one trial call may find out whether the provider is back. */
  cooldownMs: number
}

/** Closed, open after a row of failures, half-open (one trial at a time) once it has cooled down. */
export function createCircuitBreaker({ clock, failures, cooldownMs }: BreakerOptions): CircuitBreaker {
  let failuresInARow = 0
  let openUntil: number | undefined
  let trial: Permit | undefined
  let lastSuccessAt: number | undefined
  let lastFailureAt: number | undefined

  const isOpen = () => openUntil !== undefined && (trial !== undefined || clock.now() < openUntil)

  return {
    enter() {
      if (isOpen()) return undefined
      const permit: Permit = {
        alive() {
          if (trial !== permit) return
          trial = undefined
          openUntil = undefined
          // Alive is not yet well: should this very answer break off, the next failure opens again.
          failuresInARow = failures - 1
        },
        end(outcome) {
          const wasTrial = trial === permit
          if (wasTrial) trial = undefined
          if (outcome === 'success') {
            failuresInARow = 0
            openUntil = undefined
            lastSuccessAt = clock.now()
          }
          if (outcome === 'failure') {
            failuresInARow += 1
            lastFailureAt = clock.now()
            // Calls that were under way when it opened must not keep it open by failing one after the other.
            const opens = wasTrial || (openUntil === undefined && failuresInARow >= failures)
            if (opens) openUntil = clock.now() + cooldownMs
          }
        },
      }
      if (openUntil !== undefined) trial = permit
      return permit
    },
    state: () => ({
      isOpen: isOpen(),
      retryAfterMs: isOpen() ? Math.max(0, (openUntil ?? 0) - clock.now()) : 0,
      failuresInARow,
      lastSuccessAt,
      lastFailureAt,
    }),
  }
}
