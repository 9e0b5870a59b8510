/** Text that a `MessageDelta` event appends; `offset` and lengths count UTF-16 code units. */
export interface Delta {
  messageId: string
  offset: number
  text: string
}

/** The content up to and with a delta, whatever was known before: live, resumed and stored deltas fold alike. */
export function foldDelta(content: string, delta: Pick<Delta, 'offset' | 'text'>): string {
  return content.slice(0, delta.offset) + delta.text
}

/** A run of deltas as one: `text` begins at `offset` of the message's content. */
export interface Tail {
  offset: number
  text: string
}

/** One tail for what a tail and the delta after it say together. */
export function extendTail(tail: Tail | undefined, delta: Pick<Delta, 'offset' | 'text'>): Tail {
  if (!tail || delta.offset < tail.offset || delta.offset > tail.offset + tail.text.length) {
    return { offset: delta.offset, text: delta.text }
  }
  return { offset: tail.offset, text: foldDelta(tail.text, { offset: delta.offset - tail.offset, text: delta.text }) }
}

/**
 * What a message says, from the content that was read and the tail that was followed. A generation only appends, so
 * of two states of one message the longer is the newer; a tail that begins beyond the content waits for it to be read.
 */
export function joinTail(content: string, tail: Tail | undefined): string {
  if (!tail || tail.offset > content.length) return content
  const joined = foldDelta(content, tail)
  return joined.length >= content.length ? joined : content
}
