import { micros } from './clock.ts'
import { token } from './tokens.ts'

export interface Ticks {
  topics: string[]
  from: number
  tokens: number
  rate: number
}

/** In a peer: makes tokens for every topic, evenly spread over time, with one timer a token and no other cost. */
export function tick(
  { topics, from, tokens, rate }: Ticks,
  publish: (topic: string, n: number, text: string) => void,
): void {
  const start = micros()
  const period = 1e6 / rate
  for (const [index, topic] of topics.entries()) {
    const phase = (index * period) / topics.length
    let sent = 0
    const next = () => setTimeout(send, Math.max(0, (start + phase + sent * period - micros()) / 1000))
    const send = () => {
      publish(topic, from + sent, token(from + sent))
      sent++
      if (sent < tokens) next()
    }
    next()
  }
}
