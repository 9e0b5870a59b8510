import fc from 'fast-check'
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
import blns from 'big-list-of-naughty-strings' with { type: 'json' }

/** Half of a character, or NUL: what JSON can say and a text column can't keep. */
const halves = ['\0', 'a\0b', '\ud800', 'a\udfff', '\udc00\ud800']

/** The big list of naughty strings, and those that it lacks. */
export const naughtyStrings: readonly string[] = [
  ...new Set(blns),
  ...halves,
  ' ',
  '\ufeff',
  '\u202etfel ot thgir',
  '😀'.repeat(100),
  '${7*7}',
  '../../etc/passwd',
  '__proto__',
  'constructor',
  '1e400',
  '00000000-0000-7000-8000-000000000000',
  '00000000-0000-0000-0000-00000000000g',
  '{00000000-0000-7000-8000-000000000000}',
]

/** Whether a value has anywhere what can't be kept: in a string, a key or a number. */
export const isUnstorable = (value: unknown): boolean =>
  typeof value === 'string'
    ? !value.isWellFormed() || value.includes('\0') || /^\{\{-?1e400\}\}$/.test(value)
    : typeof value === 'object' && value !== null && Object.entries(value).some((entry) => entry.some(isUnstorable))

/** Stand for ids of things that are there when the case is sent; see `written`. */
export const knownNames = ['session', 'message', 'generation', 'user', 'viewer', 'foreign'] as const
export type Known = Record<(typeof knownNames)[number], string>
const known = (name: string): string => `{{${name}}}`
/** Numbers that JavaScript would not write. */
const rawNumbers = ['1e400', '-1e400', '123456789012345678901234567890', '1e-400', '-0']

/** JSON, or a document, with what is known and the raw numbers in their places. */
export function written(text: string, ids: Known): string {
  return text
    .replace(/\\?"\{\{([-\de]+)\}\}\\?"/g, '$1')
    .replace(/\{\{(\w+)\}\}/g, (whole, name) => ids[name as keyof Known] ?? whole)
}

const rarely = <T>(often: fc.Arbitrary<T>, ...rare: fc.Arbitrary<unknown>[]): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 40, arbitrary: often }, ...rare.map((arbitrary) => ({ weight: 1, arbitrary })))

const codeUnits = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 20 })
  .map((units) => String.fromCharCode(...units))
const long = fc
  .tuple(fc.constantFrom('x', '😀', '"', '\\', ' '), fc.constantFrom(65, 101, 201, 501, 5_000, 32_001, 100_000))
  .map(([unit, count]) => unit.repeat(count))
const texts = fc.oneof(
  { weight: 4, arbitrary: fc.lorem({ maxCount: 5 }) },
  { weight: 4, arbitrary: fc.constantFrom(...naughtyStrings) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary' }) },
  { weight: 1, arbitrary: fc.constantFrom(...halves) },
  { weight: 1, arbitrary: codeUnits },
  { weight: 1, arbitrary: long },
)
const numbers = fc.oneof(
  fc.constantFrom(0, -1, 1, 2, 50, 200, 201, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), -(2 ** 31) - 1, 2 ** 53),
  fc.integer({ min: -2, max: 300 }),
  fc.integer(),
)
const fractions = fc.oneof(numbers, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.double({ min: 0, max: 2 }))
const raw = fc.constantFrom(...rawNumbers).map(known)
const nested = fc
  .tuple(fc.constantFrom<'a' | 0>('a', 0), fc.constantFrom(5, 98, 99, 100, 101, 500))
  .map(([key, levels]) => {
    let value: object = {}
    for (let level = 0; level < levels; level++) value = key === 0 ? [value] : { a: value }
    return { a: value }
  })
const objects = fc.oneof(
  { weight: 6, arbitrary: fc.dictionary(texts, fc.jsonValue(), { maxKeys: 5 }) },
  { weight: 2, arbitrary: fc.dictionary(fc.constantFrom('a', '__proto__', 'toJSON', '', '$ref'), texts) },
  { weight: 1, arbitrary: nested },
  { weight: 1, arbitrary: fc.record({ a: raw }) },
)
const anything = fc.oneof(
  fc.constantFrom<unknown>(5, 1.5, 'x', '', true, false, null, {}, [], [[[]]], [null], { nope: 1 }),
  texts,
  fractions,
  raw,
  objects,
)

/** Ids that mostly name what the argument or field of this name means, so that what lies behind the check is reached. */
function idsFor(name: string): fc.Arbitrary<string> {
  const meant = name.replace(/Ids?$/, '').replace('parent', 'message')
  const some = fc.constantFrom(...knownNames).map(known)
  const right = (knownNames as readonly string[]).includes(meant) ? fc.constant(known(meant)) : some
  return fc.oneof(
    { weight: 12, arbitrary: right },
    { weight: 3, arbitrary: some },
    { weight: 2, arbitrary: fc.uuid() },
    { weight: 1, arbitrary: fc.uuid().map((id) => id.toUpperCase()) },
    { weight: 2, arbitrary: texts },
  )
}

/** Values for an input type: most are of it, whatever they mean; some, at any place in them, are not. */
export function valuesFor(type: GraphQLInputType, name: string, depth = 0): fc.Arbitrary<unknown> {
  const nullable = getNullableType(type)
  if (isNonNullType(type)) return rarely(valuesFor(nullable, name, depth), fc.constant(null), anything)
  if (depth > 5) return anything
  if (isListType(nullable)) {
    const inner = valuesFor(nullable.ofType, name, depth + 1)
    const many = fc.tuple(inner, fc.constantFrom(64, 65, 100, 101, 1_000))
    return rarely(
      fc.array(inner, { maxLength: 4 }),
      inner,
      many.map(([value, count]) => Array<unknown>(count).fill(value)),
      anything,
    )
  }
  if (isInputObjectType(nullable)) return rarely(objectsFor(nullable, depth), anything)
  if (isEnumType(nullable)) return rarely(fc.constantFrom(...nullable.getValues().map((value) => value.name)), anything)
  const scalars: Record<string, fc.Arbitrary<unknown>> = {
    ID: idsFor(name),
    String: texts,
    Int: numbers,
    Float: fractions,
    Boolean: fc.boolean(),
    JSONObject: objects,
  }
  return rarely(scalars[nullable.toString()] ?? anything, raw, anything)
}

function objectsFor(type: GraphQLInputObjectType, depth: number): fc.Arbitrary<unknown> {
  const fields = Object.values(type.getFields())
  const model = Object.fromEntries(
    fields.map(({ name, type: inner }) => [name, rarely(valuesFor(inner, name, depth + 1), fc.constant(null))]),
  )
  const requiredKeys = fields.filter(isRequired).map(({ name }) => name)
  const left = fc.constantFrom('', '', '', '', '', '', '', '', '', '', ...requiredKeys)
  const added = rarely(fc.constant(''), fc.constantFrom('nope', '__proto__', 'constructor', 'ID', 'toString'))
  return fc
    .tuple(fc.record(model, { requiredKeys }), left, added)
    .map(([value, without, extra]) =>
      Object.fromEntries([
        ...Object.entries(value).filter(([name]) => name !== without),
        ...(extra === '' ? [] : [[extra, 1]]),
      ]),
    )
}

interface Taken {
  name: string
  type: GraphQLInputType
  defaultValue?: unknown
}

export const isRequired = ({ type, defaultValue }: Taken): boolean => isNonNullType(type) && defaultValue === undefined

/** Whether a value may stand for a type, by the letter of the GraphQL specification (section 3.5 and following). */
export function fits(type: GraphQLInputType, value: unknown): boolean {
  if (value === null || value === undefined) return !isNonNullType(type)
  const nullable = getNullableType(type)
  if (isListType(nullable))
    return Array.isArray(value) ? value.every((item) => fits(nullable.ofType, item)) : fits(nullable.ofType, value)
  if (isInputObjectType(nullable)) return isObject(value) && fitsAll(Object.values(nullable.getFields()), value)
  if (isEnumType(nullable)) return typeof value === 'string' && nullable.getValue(value) !== undefined
  const number = typeof value === 'string' && /^\{\{[-\de]+\}\}$/.test(value) ? Number(value.slice(2, -2)) : value
  switch (nullable.toString()) {
    case 'Int':
      return typeof number === 'number' && Number.isInteger(number) && Math.abs(number + 0.5) < 2 ** 31
    case 'Float':
      return typeof number === 'number' && Number.isFinite(number)
    case 'ID':
      return typeof number === 'string' || Number.isInteger(number)
    case 'String':
      return typeof number === 'string'
    case 'Boolean':
      return typeof value === 'boolean'
    case 'JSONObject':
      return isObject(value)
    default:
      return true
  }
}

/** Whether an object has what these arguments or input fields need, and nothing else. */
export function fitsAll(taken: readonly Taken[], value: Record<string, unknown>): boolean {
  return (
    Object.keys(value).every((key) => taken.some(({ name }) => name === key)) &&
    taken.every((one) =>
      Object.hasOwn(value, one.name)
        ? fits(one.type, value[one.name]) && !(value[one.name] === null && isNonNullType(one.type))
        : !isRequired(one),
    )
  )
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Text with some of its characters replaced, doubled or gone. */
export function garble(text: string, random: Random): string {
  const characters = [...text]
  for (let n = random.int(1, 6); n > 0; n--) {
    const place = random.int(0, characters.length - 1)
    const other = random.pick([...'"{}\\\0]\ud800', '', String.fromCharCode(random.int(1, 0x2fff))])
    characters.splice(place, random.int(0, 3), other)
  }
  return characters.slice(0, random.chance(0.3) ? random.int(1, characters.length) : undefined).join('')
}
