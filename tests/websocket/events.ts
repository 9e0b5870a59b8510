import { expect } from 'vitest'
import type { ReceivedFrame } from '../support/clients.ts'

export interface Event {
  __typename: string
  seq: number | null
  messageId?: string
  offset?: number
  text?: string
  lastSeq?: number
  isTyping?: boolean
  isOnline?: boolean
  user?: { id: string }
  message?: { id: string; content: string; status: string }
}

/** Of the first error of a frame. */
export const codeOf = ({ payload }: ReceivedFrame): unknown =>
  (payload as { errors?: { extensions: { code: string } }[] }).errors?.[0]?.extensions.code

/** What deltas add up to; each must begin where the one before it ended. */
export function fold(events: Event[], messageId: string, from = ''): string {
  let content = from
  for (const event of events) {
    if (event.messageId !== messageId) continue
    expect(event.offset).toBe(content.length)
    content += event.text!
  }
  return content
}
