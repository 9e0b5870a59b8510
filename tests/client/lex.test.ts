import { Lexer } from 'marked'
import { describe, expect, test } from 'vitest'
import { lex, type Lexed } from '../../client/src/markdown/lex.ts'

/** Blocks whose meaning what follows can change, after the sections of CommonMark's specification. */
const samples: Record<string, string> = {
  'headings and setext headings': '# One\n## Two #\n\nFoo\n===\n\nBar\nbaz\n---\n\nend\n\n---\n\n***\nafter',
  'fences that open, close and almost do':
    'a\n\n```js\nlet x = 1\n\n```\nb\n~~~\n```\n~~~~\n\n```js` no fence\n\npara\n```\nx\n````',
  'indented code': '    code\n\n    more\n\ntext\n\n\tx\n\n  \n    tail\nlazy',
  'lists that grow over empty lines':
    '- a\n\n  b\n\n\n- c\n1. x\n\n2. y\n\n3\n\n* s\n    - t\n\n      u\n\n    v\n\nend\n\n10) z\n\n11) w',
  'an ordered list after a paragraph': 'text\n1. a\n\n2. b\n\n2',
  'task lists': '- [ ] open\n- [x] done\n\n  more\n- [',
  'quotes with lazy lines': '> a\nb\n\n> c\n> - d\n>\n>   e\n\n> f\n\n>> g\n> h\n\ni',
  tables: '| a | b |\n| - | -: |\n| 1 | 2 |\n| 3 |\n\n| not a table |\n\nx | y\n- | -\nz | `|`\n\nend',
  'html blocks':
    '<div>\n*a*\n\n*b*\n</div>\n\n<script>\nx\n\ny\n</script>\nz\n\n<!-- c\n\nd -->\n\n<a href="x">\n\n<b>i</b> t\n\n<pre>\n\nk',
  'reference links defined later':
    'see [foo] and [Bar][foo]\n\ntext\n\n[foo]: /url "title"\n\nafter [foo]\n\n[foo]: /second\n[baz]: <x y>\n\n> [in]: /quoted\n\n[in] [baz]',
  'emphasis and code spans':
    '*a **b** c*\n\n`` ` `` and `x\ny`\n\n**open\n\n***both*** _x_ ~~gone~~\n\n\\*no\\* &amp; &copy;',
  'links and images':
    '[a](http://x "t") ![i](/p.png)\n\n<https://auto.link> www.x.org\n\n[open](http://\n\nhttps://bare.example/a_b_c',
  'hard breaks and odd spaces': 'a  \nb\\\nc\n \t \nd\n\n\n\n   e\n',
  'windows line ends': 'a\r\n\r\n- b\r\n- c\r\n\r\n```\r\nd\r\n```\r\n\r\ne',
  'lone definitions': '[a]: /u\n\n[b]:\n/v\n\n[c]: /w\n"t"\n\n[a][b][c]',
}

function plain(lexed: Lexed) {
  return JSON.parse(JSON.stringify(lexed.blocks))
}

function whole(text: string) {
  return JSON.parse(JSON.stringify(new Lexer({ gfm: true }).lex(text)))
}

/** A repeatable source of numbers from 0 to 1 (mulberry32). */
function seeded(seed: number) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

function expectEqualAtEveryStep(text: string, steps: readonly string[]) {
  let shown: Lexed | undefined
  let soFar = ''
  for (const step of steps) {
    soFar += step
    shown = lex(soFar, shown)
    expect(plain(shown), `after ${JSON.stringify(soFar)}`).toEqual(whole(soFar))
  }
  expect(soFar).toBe(text)
}

describe('lexing text as it arrives equals lexing it whole', () => {
  for (const [name, text] of Object.entries(samples)) {
    test(`for ${name}, character by character`, () => {
      expectEqualAtEveryStep(text, [...text])
    })
  }

  test('for all samples in any order, in pieces of any size', () => {
    const random = seeded(20)
    for (let round = 0; round < 60; round++) {
      const parts = Object.values(samples).sort(() => random() - 0.5)
      const text = parts.slice(0, 4).join(random() < 0.5 ? '\n\n' : '\n')
      const steps: string[] = []
      for (let at = 0; at < text.length;) {
        const next = at + 1 + Math.floor(random() * 30)
        steps.push(text.slice(at, next))
        at = next
      }
      expectEqualAtEveryStep(text, steps)
    }
  })

  test('for random strings of the characters that mean something', () => {
    const random = seeded(7)
    const alphabet = [
      '\n',
      '\n',
      '\n\n',
      ' ',
      '  ',
      '    ',
      '\t',
      '-',
      '1.',
      '*',
      '>',
      '#',
      '`',
      '```',
      '~~~',
      '|',
      '=',
      '[a]',
      ': ',
      '<b>',
      '<!--',
      '-->',
      'x',
      'yz',
      '\\',
    ]
    for (let round = 0; round < 300; round++) {
      const steps = Array.from({ length: 25 }, () => alphabet[Math.floor(random() * alphabet.length)]!)
      expectEqualAtEveryStep(steps.join(''), steps)
    }
  })
})

test('blocks that can’t change any more stay the same objects', () => {
  const first = lex('# Title\n\nOne.\n\nTwo')
  const second = lex('# Title\n\nOne.\n\nTwo and\n\nthree', first)
  expect(second.blocks[0]).toBe(first.blocks[0])
  expect(second.blocks[1]).toBe(first.blocks[1])
})

test('text that is not an append is lexed anew', () => {
  const first = lex('One.\n\nTwo')
  expect(plain(lex('Other.\n\nTwo', first))).toEqual(whole('Other.\n\nTwo'))
})
