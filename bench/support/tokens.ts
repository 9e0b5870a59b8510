import { micros } from './clock.ts'

/**
 * Every token has the same length and tells its number and when it was made, so that whoever receives it can tell for
 * every frame, and cheaply, that nothing is missing and how long it took: `0000123:000123456789 `.
 */
export const tokenLength = 21
const numberLength = 7
const timeLength = 12

export const token = (n: number): string =>
  `${String(n).padStart(numberLength, '0')}:${String(micros()).padStart(timeLength, '0')} `

function digits(bytes: Buffer, at: number, length: number): number {
  let value = 0
  for (let index = at; index < at + length; index++) value = value * 10 + bytes[index]! - 48
  return value
}

export const numberAt = (bytes: Buffer, at: number): number => digits(bytes, at, numberLength)

/** When the token at this place was made, in microseconds. */
export const timeAt = (bytes: Buffer, at: number): number => digits(bytes, at + numberLength + 1, timeLength)
