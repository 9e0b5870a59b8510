import { parse, print, validate } from 'graphql'
import { describe, expect, it } from 'vitest'
import { positionAlias, withPosition } from '../../client/library/position.ts'
import { printedSchema } from '../support/accessMatrix.ts'

const schema = printedSchema()
const ask = (selection: string, rest = '') =>
  `subscription ($id: ID!) { sessionEvents(sessionId: $id) { ${selection} } } ${rest}`

describe('a subscription is asked for its position', () => {
  it.each([
    ['not at all yet', ask('... on MessageDelta { text }'), 'seq'],
    ['at its root', ask('__typename seq ... on MessageDelta { text }'), 'seq'],
    ['in a fragment', ask('... on MessageDelta { seq text }'), positionAlias],
    [
      'in fragments of both kinds',
      ask('... on MessageDelta { seq } ...F', 'fragment F on MessageAdded { seq }'),
      positionAlias,
    ],
    [
      'in a fragment in a fragment',
      ask(
        '...F',
        'fragment F on SessionEvent { ... on MessageDelta { seq } ...G } fragment G on SessionEvent { ...H } fragment H on MessageAdded { seq }',
      ),
      positionAlias,
    ],
    ['in a fragment under another name', ask('... on MessageDelta { mine: seq }'), 'seq'],
  ])('where it asks %s, and stays valid', (_where, text, name) => {
    const document = withPosition(parse(text) as never)
    expect(validate(schema, document as never)).toEqual([])
    const [, root] = /sessionEvents\(sessionId: \$id\) \{([^]*)/.exec(print(document as never))!
    const asked = name === 'seq' ? /^\s+(__typename\s+)?seq$/m : /^\s+(__typename\s+)?followedSeq: seq$/m
    expect(root).toMatch(asked)
  })
})
