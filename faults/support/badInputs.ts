import {
  getNullableType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  type GraphQLInputObjectType,
  type GraphQLInputType,
} from 'graphql'
import type { Random } from '../../tests/support/random.ts'

type Input = Record<string, unknown>

const nobodysId = '00000000-0000-7000-8000-000000000000'

/** Strings that have broken programs: empty, half characters, NUL, other programs' syntax, and what looks like an id. */
export const naughtyStrings: readonly string[] = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\ud800',
  '😀'.repeat(100),
  '\u202etfel ot thgir',
  'null',
  'undefined',
  'NaN',
  '-1',
  '1e400',
  "' OR 1=1 --",
  "'; DROP TABLE messages; --",
  '{"a":1}',
  '${7*7}',
  '%s%n%x',
  '../../etc/passwd',
  '<script>alert(1)</script>',
  '00000000-0000-0000-0000-00000000000g',
  '{00000000-0000-7000-8000-000000000000}',
  nobodysId,
  'x'.repeat(10_000),
]

/** Longer than each may be, in characters. */
const tooLong: Record<string, number> = { title: 501, content: 32_001, name: 10_000, systemPrompt: 1_000_000 }

/** Values that a field of this type must not take, whatever the others are. */
function badValues(type: GraphQLInputType, name: string, random: Random): unknown[] {
  const values: unknown[] = isNonNullType(type) ? [null] : []
  const nullable = getNullableType(type)
  if (isListType(nullable))
    return [...values, 5, [5.5], [[[]]], { a: 1 }, ...(name === 'sessionIds' ? [[random.pick(naughtyStrings)]] : [])]
  if (isEnumType(nullable)) return [...values, 'NOPE', 5, true, {}, [], random.pick(naughtyStrings)]
  if (isInputObjectType(nullable)) return [...values, 'x', 5, { nope: 1 }]
  switch (nullable.toString()) {
    case 'ID': {
      // a new thing may have any id that is well-formed
      const ids = naughtyStrings.filter((text) => name !== 'id' || text !== nobodysId)
      return [...values, random.pick(ids), random.pick(ids), 12, 1.5, true, {}, [[]]]
    }
    case 'String':
      return [...values, 5, true, {}, ['x', 'y'], ...(tooLong[name] ? ['x'.repeat(tooLong[name])] : [])]
    case 'Int':
      return [...values, -1, 2 ** 31, -(2 ** 40), 1.5, 'x', '5', true, {}, []]
    case 'Float':
      return [...values, -1e9, 1e9, 'x', true, {}]
    case 'Boolean':
      return [...values, 'yes', 1, {}, [1, 2]]
    default:
      return [...values, 'x', 5, [], true, { a: 'x'.repeat(17_000) }]
  }
}

/** A valid input with one thing in it that is not: a value, a field too many, or one too few. */
export function spoil(type: GraphQLInputObjectType, valid: Input, random: Random): Input {
  const fields = Object.values(type.getFields())
  if (random.chance(0.08)) return { ...valid, [random.pick(['nope', '__proto__x', 'constructor', 'ID'])]: 1 }
  const field = random.pick(fields)
  const inner = getNullableType(field.type)
  if (isInputObjectType(inner) && random.chance(0.7))
    return { ...valid, [field.name]: spoil(inner, (valid[field.name] as Input) ?? {}, random) }
  if (isNonNullType(field.type) && field.defaultValue === undefined && random.chance(0.2))
    return Object.fromEntries(Object.entries(valid).filter(([name]) => name !== field.name))
  return { ...valid, [field.name]: random.pick(badValues(field.type, field.name, random)) }
}

/** Text with some of its characters replaced, doubled or gone. */
export function garble(text: string, random: Random): string {
  const characters = [...text]
  for (let n = random.int(1, 6); n > 0; n--) {
    const place = random.int(0, characters.length - 1)
    const other = random.pick([
      '',
      '"',
      '{',
      '}',
      '\\',
      '\0',
      ']',
      '\ud800',
      String.fromCharCode(random.int(1, 0x2fff)),
    ])
    characters.splice(place, random.int(0, 3), other)
  }
  return characters.slice(0, random.chance(0.3) ? random.int(1, characters.length) : undefined).join('')
}
