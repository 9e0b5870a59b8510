import { describe, expect, test } from 'vitest'
import { extendTail, foldDelta, joinTail, type Tail } from '../../client/library/fold.ts'

const tokens = ['Hel', 'lo', ', ', 'wörld', ' 🌍', '!']
const whole = tokens.join('')
const deltas = tokens.map((text, index) => ({ offset: tokens.slice(0, index).join('').length, text }))

describe('folding a delta', () => {
  test('appends text where the content ends', () => {
    expect(deltas.reduce(foldDelta, '')).toBe(whole)
  })

  test('replaces what a client already had beyond the offset', () => {
    expect(foldDelta('Hello, wor', { offset: 7, text: 'wörld' })).toBe('Hello, wörld')
  })

  test('counts offsets in UTF-16 code units', () => {
    expect(foldDelta('🌍', { offset: 2, text: '!' })).toBe('🌍!')
  })

  test('gives the same content from every state that a client may be in', () => {
    for (let read = 0; read <= whole.length; read++) {
      const from = deltas.findLastIndex(({ offset }) => offset <= read)
      expect(deltas.slice(from).reduce(foldDelta, whole.slice(0, read))).toBe(whole)
    }
  })
})

describe('a tail of deltas beside the content that was read', () => {
  const tailOf = (some: typeof deltas) => some.reduce<Tail | undefined>(extendTail, undefined)

  test('joins to what folding each delta into the content gives', () => {
    for (let from = 0; from < deltas.length; from++) {
      const content = whole.slice(0, deltas[from]!.offset)
      expect(joinTail(content, tailOf(deltas.slice(from)))).toBe(whole)
    }
  })

  test('takes deltas that come again, merged or one by one', () => {
    const merged = { offset: deltas[2]!.offset, text: tokens.slice(2, 5).join('') }
    expect(joinTail('', tailOf([...deltas.slice(0, 4), merged, ...deltas.slice(5)]))).toBe(whole)
    expect(joinTail('', tailOf([...deltas.slice(0, 4), ...deltas.slice(1)]))).toBe(whole)
  })

  test('never shows less than what was read later', () => {
    expect(joinTail(whole, tailOf(deltas.slice(0, 2)))).toBe(whole)
  })

  test('waits where it begins beyond what was read', () => {
    const tail = tailOf(deltas.slice(3))
    expect(joinTail('Hel', tail)).toBe('Hel')
    expect(joinTail(whole.slice(0, 9), tail)).toBe(whole)
  })
})
