import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { Reception } from '../../bench/support/reception.ts'
import { figureOf, isMet, type Row } from '../../bench/support/report.ts'
import { token } from '../../bench/support/tokens.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

function receive(...deltas: string[]): Reception {
  const reception = new Reception()
  const stream = reception.add(0, true)
  for (const text of deltas) {
    const bytes = Buffer.from(`{"text":"${text}"}`)
    reception.take(stream, bytes, 9, 9 + text.length)
  }
  return reception
}

test('deltas of one or several tokens in order are counted', () => {
  const { frames, tokens } = receive(token(0), token(1) + token(2), token(3)).sample()
  expect({ frames, tokens }).toEqual({ frames: 3, tokens: 4 })
})

test.for([
  ['lost', [token(0), token(2)]],
  ['repeated', [token(0), token(0)]],
  ['cut', [token(0), token(1).slice(0, -1)]],
])('a token that is %s fails a benchmark', ([, deltas]) => {
  expect(() => receive(...(deltas as string[])).sample()).toThrow(/token \d was expected|token 1/)
})

test('a follower that gets nothing fails a benchmark', async () => {
  await expect(receive(token(0)).reach(2, 0)).rejects.toThrow('1 of 1 followers are behind')
})

test('a missed goal is told as missed', () => {
  const row: Row = {
    what: 'something',
    unit: 'µs',
    ours: [3, 3.3, 9],
    peer: { name: 'another', values: [2, 2, 2] },
    goal: { of: 'ratio', atMost: 1.6 },
  }
  expect(figureOf(row)).toBeCloseTo(1.65)
  expect(isMet(row)).toBe(false)
  expect(isMet({ ...row, goal: { of: 'ratio', atMost: 1.7 } })).toBe(true)
})

test('a benchmark runs from the command line, checks what it gets and writes its figures', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'parley-bench-test-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'figures.json')
  const output = await new Promise<string>((resolve, reject) => {
    execFile(
      process.execPath,
      ['bench/main.ts', '--quick', '--json', file, 'catch-up'],
      { cwd: root },
      (error, stdout) => (error ? reject(new Error(stdout, { cause: error })) : resolve(stdout)),
    )
  })
  expect(output).toMatch(/\d of 2 goals met\n$/)
  const { rows, broken } = JSON.parse(await readFile(file, 'utf8')) as { rows: { median: number }[]; broken: string[] }
  expect(broken).toEqual([])
  expect(rows).toHaveLength(2)
  for (const { median } of rows) expect(median).toBeGreaterThan(0)
})
