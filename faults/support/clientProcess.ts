/** Followers in a process of their own, which can be stopped as a whole; they are told what to do by its parent. */
import { Follower, faultsOf, type FollowerOptions } from './follower.ts'

export interface ClientState {
  connected: number
  /** What each follower has of the answers that were asked for, where it has ended. */
  ended: number
  faults: Record<string, number>
  /** Texts that differ from what was said to be right. */
  differing: number
  connects: number
}

export type ClientOrder =
  | { kind: 'open'; followers: FollowerOptions[] }
  /** `right`: the text of each answer that must have ended. */
  | { kind: 'state'; right: Record<string, string> }
  /** Milliseconds from when a token was due to its arrival, for every delta of an answer. */
  | { kind: 'delays'; messageId: string; startAt: number; rate: number }

const followers: Follower[] = []
const arrivals = new Map<string, { token: number; at: number }[]>()
const now = (): number => performance.timeOrigin + performance.now()

function note(messageId: string, text: string): void {
  const at = now()
  const token = Number(/(\d+):[0-9a-f]{8}\S* $/.exec(text)?.[1])
  const list = arrivals.get(messageId)
  if (list) list.push({ token, at })
  else arrivals.set(messageId, [{ token, at }])
}

function answer(order: ClientOrder): ClientState | number[] {
  if (order.kind === 'open')
    for (const options of order.followers)
      followers.push(
        new Follower({ ...options, onEvent: ({ messageId, text }) => messageId && text && note(messageId, text) }),
      )
  if (order.kind === 'delays')
    return (arrivals.get(order.messageId) ?? []).map(
      ({ token, at }) => at - order.startAt - (token * 1000) / order.rate,
    )
  const right = Object.entries(order.kind === 'state' ? order.right : {})
  const isRight = (follower: Follower) => right.every(([id, text]) => follower.texts.get(id) === text)
  const hasEnded = (follower: Follower) => right.every(([id]) => follower.endings.has(id))
  return {
    connected: followers.filter(({ isConnected }) => isConnected).length,
    ended: followers.filter(hasEnded).length,
    faults: faultsOf(followers),
    differing: followers.filter((follower) => hasEnded(follower) && !isRight(follower)).length,
    connects: followers.reduce((sum, { connects }) => sum + connects, 0),
  }
}

process.on('message', (order: ClientOrder) => process.send!(answer(order)))
process.once('disconnect', () => process.exit())
