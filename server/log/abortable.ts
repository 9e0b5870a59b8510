/**
 * An iterator over what a generator gives, whose `return` ends it also while it waits: a bare generator takes a `return`
 * only once the `next` before it is done, which in a quiet session is never.
 */
export function abortable<T>(
  start: (signal: AbortSignal) => AsyncGenerator<T, void, undefined>,
): AsyncGenerator<T, void, undefined> {
  const controller = new AbortController()
  const generator = start(controller.signal)
  const iterator: AsyncGenerator<T, void, undefined> = {
    next: () => generator.next(),
    return() {
      controller.abort()
      return generator.return()
    },
    throw(error) {
      controller.abort()
      return generator.throw(error)
    },
    [Symbol.asyncIterator]: () => iterator,
    async [Symbol.asyncDispose]() {
      await iterator.return()
    },
  }
  return iterator
}
