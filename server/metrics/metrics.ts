import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { FinishedCall } from '../providers/resilience.ts'

const secondsOfRequests = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const secondsOfStorage = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5]
const secondsOfModels = [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600]

/** Plain numbers that the busiest code adds to; they are read when somebody asks for the metrics. */
export interface Traffic {
  /** Events rendered, each once for all who get the same. */
  events: number
  /** Frames with events that were given to WebSockets. */
  frames: number
}

/** What one server tells Prometheus. Whatever happens often is a number elsewhere, which a gauge of `gauges.ts` reads. */
export class Metrics {
  readonly traffic: Traffic = { events: 0, frames: 0 }
  readonly registry = new Registry()
  readonly #operationNames: ReadonlySet<string>
  readonly #requests = this.#counter('http_requests_total', 'HTTP requests answered.', ['route', 'status'])
  readonly #operations = this.#histogram(
    'operation_duration_seconds',
    'Operations by name (other where it is none of the clients that come with the server), type and result: OK, an ' +
      'error code, or INVALID for a document or variables that are not valid.',
    ['operation', 'type', 'code'],
    secondsOfRequests,
  )
  readonly #storage = this.#histogram(
    'storage_duration_seconds',
    'Time that the database took: reads, snapshots of several reads, transactions with their wait for locks, deltas.',
    ['kind'],
    secondsOfStorage,
  )
  readonly #storageErrors = this.#counter('storage_errors_total', 'Calls of the database that failed.', ['kind'])
  readonly #started = this.#counter('generations_started_total', 'Generations that were started on this node.', [])
  readonly #ended = this.#counter('generations_ended_total', 'Generations that ended on this node.', ['status'])
  readonly #firstToken = this.#histogram(
    'generation_first_token_seconds',
    'From the start of a generation to its first stored token.',
    [],
    secondsOfModels,
  )
  readonly #provider = this.#histogram(
    'provider_call_duration_seconds',
    'Calls of providers, each try for itself, by result: OK, ABORTED or an error code.',
    ['provider', 'code'],
    secondsOfModels,
  )
  readonly #providerFirstToken = this.#histogram(
    'provider_first_token_seconds',
    'From the call of a provider to its first token.',
    ['provider'],
    secondsOfModels,
  )
  readonly #kinds = new Map<string, { observe(seconds: number): void }>()
  #hasDefaults = false

  /** @param operationNames those that are counted by name: anyone can send others, and there is no end to them */
  constructor(operationNames: Iterable<string> = []) {
    this.#operationNames = new Set(operationNames)
  }

  /** The name as it may be counted and logged. */
  nameOf(operation: string | null | undefined): string {
    return operation && this.#operationNames.has(operation) ? operation : 'other'
  }

  requestDone(route: string, status: number): void {
    this.#requests.inc({ route, status })
  }

  operationDone(operation: string, type: string, code: string, ms: number): void {
    this.#operations.observe({ operation, type, code }, ms / 1000)
  }

  storageDone(kind: string, ms: number): void {
    let observed = this.#kinds.get(kind)
    if (!observed) this.#kinds.set(kind, (observed = this.#storage.labels({ kind })))
    observed.observe(ms / 1000)
  }

  storageFailed(kind: string): void {
    this.#storageErrors.inc({ kind })
  }

  generationStarted(): void {
    this.#started.inc()
  }

  generationEnded(status: string, timeToFirstTokenMs: number | null): void {
    this.#ended.inc({ status })
    if (timeToFirstTokenMs !== null) this.#firstToken.observe(timeToFirstTokenMs / 1000)
  }

  providerCalled({ provider, code, ms, firstTokenMs }: FinishedCall): void {
    this.#provider.observe({ provider, code }, ms / 1000)
    if (firstTokenMs !== null) this.#providerFirstToken.observe({ provider }, firstTokenMs / 1000)
  }

  /** A gauge that is asked for its value whenever somebody reads the metrics. */
  gauge(name: string, help: string, read: () => number): void {
    this.#add(
      new Gauge({
        ...this.#named(name, help),
        collect() {
          this.set(read())
        },
      }),
    )
  }

  /** The same for a gauge of several values. */
  gauges(name: string, help: string, label: string, read: () => Record<string, number>): void {
    this.#add(
      new Gauge({
        ...this.#named(name, help),
        labelNames: [label],
        collect() {
          for (const [key, value] of Object.entries(read())) this.set({ [label]: key }, value)
        },
      }),
    )
  }

  /** A counter whose number is kept elsewhere. */
  total(name: string, help: string, read: () => number): void {
    this.#add(
      new Counter({
        ...this.#named(name, help),
        collect() {
          this.reset()
          this.inc(read())
        },
      }),
    )
  }

  /** Everything in Prometheus' text format. */
  async read(): Promise<{ type: string; text: string }> {
    // watching the event loop costs a little all the time: from the first time on that somebody asks
    if (!this.#hasDefaults) collectDefaultMetrics({ register: this.registry })
    this.#hasDefaults = true
    return { type: this.registry.contentType, text: await this.registry.metrics() }
  }

  #named(name: string, help: string): { name: string; help: string; registers: [] } {
    return { name: `parley_${name}`, help, registers: [] }
  }

  #add<M extends Counter | Gauge | Histogram>(metric: M): M {
    this.registry.registerMetric(metric)
    return metric
  }

  #counter(name: string, help: string, labelNames: string[]): Counter {
    return this.#add(new Counter({ ...this.#named(name, help), labelNames }))
  }

  #histogram(name: string, help: string, labelNames: string[], buckets: number[]): Histogram {
    return this.#add(new Histogram({ ...this.#named(name, help), labelNames, buckets }))
  }
}
