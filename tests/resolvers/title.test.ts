import { expect, it } from 'vitest'
import { titleFrom } from '../../server/resolvers/title.ts'

const graphemes = (text: string) => [...new Intl.Segmenter().segment(text)].length

it.each([
  ['one two three four five', 'one two three four five'],
  ['one two three four five six', 'one two three four five…'],
  ['line1\n\n```js\nconst a = 1\n```\n more words here', 'line1 more words here'],
  ['# Überschrift mit *Betonung*\n\nund Text', 'Überschrift mit Betonung und Text'],
  ['> - [a link](https://example.org) and **bold** `code`', 'a link and bold code'],
  ['snake_case stays, _this_ does not', 'snake_case stays, this does not'],
  ['שלום עולם, זה טקסט ארוך מאוד', 'שלום עולם, זה טקסט ארוך…'],
  ['a\u202eb', 'ab'],
  ['```\nconst a = 1\n```', 'const a = 1'],
  ['   ', ''],
])('%j gives the title %j', (content, title) => {
  expect(titleFrom(content, 500)).toBe(title)
})

it.each([
  '日本語のタイトルはどうなりますか、とても長い最初のメッセージです。改行もあります。それでも題は短くしてください。'.repeat(
    10,
  ),
  '今天讨论了部署方案'.repeat(60),
  'สวัสดีครับวันนี้อากาศดีมาก'.repeat(20),
  'x'.repeat(32_000),
  '👩‍👩‍👧‍👦'.repeat(500),
  '*'.repeat(32_000),
  '['.repeat(32_000),
])('has at most 60 graphemes and one line: %#', (content) => {
  const title = titleFrom(content, 500)
  expect(graphemes(title)).toBeLessThanOrEqual(60)
  expect([...title].length).toBeLessThanOrEqual(500)
  expect(title).not.toMatch(/[\r\n]/)
})

it('goes no further than the limit of titles', () => {
  expect(titleFrom('abcdefghij klm', 5)).toBe('abcd…')
})
