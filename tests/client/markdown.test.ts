import { createElement } from 'react'
import { renderToStaticMarkup } from 'react-dom/server'
import { describe, expect, test } from 'vitest'
import { incrementalLex } from '../../client/src/markdown/lex.ts'
import { Markdown } from '../../client/src/markdown/Markdown.tsx'

const render = (text: string, isGrowing = false) => renderToStaticMarkup(createElement(Markdown, { text, isGrowing }))
const html = (text: string, isGrowing = false) => render(text, isGrowing).replaceAll(' dir="auto"', '')

describe('Markdown becomes elements', () => {
  test('for emphasis, code, breaks and entities', () => {
    expect(html('*a* **b** ~~c~~ `<d>&amp;`  \ne &amp; &copy; &unknown; \\*')).toBe(
      '<p><em>a</em> <strong>b</strong> <del>c</del> <code>&lt;d&gt;&amp;amp;</code><br/>e &amp; © &amp;unknown; *</p>',
    )
  })

  test('for headings, which begin below those of the page', () => {
    expect(html('# One\n\n#### Four')).toBe('<h3 data-depth="1">One</h3><h6 data-depth="4">Four</h6>')
  })

  test('for tight and loose lists, numbered from where they begin', () => {
    expect(html('3. a\n4. b')).toBe('<ol start="3"><li>a</li><li>b</li></ol>')
    expect(html('- a\n\n- b')).toBe('<ul><li><p>a</p></li><li><p>b</p></li></ul>')
  })

  test('for reference links, wherever they are defined', () => {
    expect(html('[a]\n\n[a]: https://example.org/')).toContain('href="https://example.org/"')
  })

  test('for tables with their alignment', () => {
    expect(html('| a | b |\n| - | -: |\n| 1 | 2 |')).toContain('<td style="text-align:right">2</td>')
  })

  test('for code, as it stands', () => {
    expect(html('```ts\n<b>\n```')).toMatch(/<code>.*&lt;b&gt;.*<\/code>/)
    expect(html('```ts\nlet x', true)).toContain('<code>let x</code>')
  })
})

describe('text never becomes HTML', () => {
  const hostile = [
    '<script>alert(1)</script>',
    '<img src=x onerror=alert(1)>',
    'a <svg/onload=alert(1)> b',
    '<a href="javascript:alert(1)">x</a>',
    '<iframe srcdoc="<script>alert(1)</script>">',
    '<style>*{display:none}</style>',
    '<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>',
    '[x](javascript:alert(1))',
    '[x](JaVaScRiPt:alert(1))',
    '[x](&#106;avascript:alert(1))',
    '[x](java&#10;script:alert(1))',
    '[x](data:text/html,<script>alert(1)</script>)',
    '[x](vbscript:x)',
    '![x](javascript:alert(1))',
    '![x](https://tracker.example/p.png)',
    '[x]: javascript:alert(1)\n\n[x]',
    '<javascript:alert(1)>',
    '```"><img src=x onerror=alert(1)>\nx\n```',
    '| <img src=x onerror=alert(1)> |\n| - |\n| <script> |',
    '[x](https://a.example "\\" onmouseover=alert(1)")',
  ]

  for (const text of hostile) {
    test(`not ${JSON.stringify(text)}`, () => {
      const tags = [...html(text).matchAll(/<([a-z0-9]+)((?:\s+[^<>]*?)?)\/?>/gi)]
      for (const [, tag, attributes] of tags) {
        expect(['script', 'img', 'iframe', 'style', 'math', 'form', 'object', 'embed']).not.toContain(tag)
        expect(attributes!.replaceAll(/"[^"]*"/g, '""')).not.toMatch(/\son\w+=/i)
        const href = /href="([^"]*)"/.exec(attributes!)?.[1] ?? 'https://none.example'
        expect(href).toMatch(/^(https?:|mailto:)/)
      }
    })
  }

  test('and links open elsewhere, telling nothing of this page', () => {
    expect(html('[x](https://example.org/a?b=1&c=2)')).toBe(
      '<p><a href="https://example.org/a?b=1&amp;c=2" target="_blank" rel="noopener noreferrer">x</a></p>',
    )
  })
})

test('each block of a message has a direction of its own, and what is in it follows', () => {
  expect(render('# א\n\nב\n\n- ג\n\n  ד\n\n> ה\n\n```\nx\n```')).toMatch(
    /^<h3 dir="auto"[^>]*>א<\/h3><p dir="auto">ב<\/p><ul dir="auto"><li><p>ג<\/p><p>ד<\/p><\/li><\/ul><blockquote dir="auto"><p>ה<\/p><\/blockquote><figure(?! dir)/,
  )
})

describe('text that is hard to lex is shown as it stands', () => {
  const n = 31_800
  test.each([
    ['quotes in quotes', '>'.repeat(1_900)],
    ['quotes in quotes, with spaces', '> '.repeat(1_900)],
    ['lists in lists', '1. '.repeat(3_000)],
    ['deep lists', '- '.repeat(200) + 'x'],
    ['an address without an end', `a${'.a'.repeat(n / 2)}@`],
    ['a list item that never ends', `- ${'a\n'.repeat(n / 2)}`],
    ['emphasis in words', 'aa_'.repeat(n / 3)],
    ['strong that never closes', '**a'.repeat(n / 3)],
  ])('%s', (_name, text) => {
    expect(render(text)).toBe(`<p dir="auto" class="whitespace-pre-wrap">${text.trimEnd().replaceAll('>', '&gt;')}</p>`)
  })

  test('and what came before it stays Markdown, while more arrives', () => {
    const lexNext = incrementalLex()
    const dear = 'x'.repeat(4_000)
    lexNext('**a**\n\nb')
    const first = lexNext(`**a**\n\n${dear}`)
    const then = lexNext(`**a**\n\n${dear} more`)
    expect(first.blocks.at(-1)!.raw).toContain(dear)
    expect(then.blocks.map(({ raw }) => raw).join('')).toBe(`**a**\n\n${dear} more`)
  })

  test('and long code in a fence stays code', () => {
    expect(html('```\n' + `${'x'.repeat(5_000)}\n`.repeat(3) + '```')).toContain('<figure')
  })
})
