import hljs from 'highlight.js/lib/core'
import bash from 'highlight.js/lib/languages/bash'
import cpp from 'highlight.js/lib/languages/cpp'
import css from 'highlight.js/lib/languages/css'
import go from 'highlight.js/lib/languages/go'
import java from 'highlight.js/lib/languages/java'
import json from 'highlight.js/lib/languages/json'
import python from 'highlight.js/lib/languages/python'
import rust from 'highlight.js/lib/languages/rust'
import sql from 'highlight.js/lib/languages/sql'
import typescript from 'highlight.js/lib/languages/typescript'
import xml from 'highlight.js/lib/languages/xml'
import yaml from 'highlight.js/lib/languages/yaml'
import { createElement, type ReactNode } from 'react'
import { decodeEntities } from './entities.ts'

const languages = { bash, cpp, css, go, java, json, python, rust, sql, typescript, xml, yaml }
for (const [name, language] of Object.entries(languages)) hljs.registerLanguage(name, language)
hljs.registerAliases(['javascript', 'js', 'jsx', 'mjs'], { languageName: 'typescript' })
hljs.registerAliases(['shell', 'console'], { languageName: 'bash' })

/** Code as coloured elements; undefined for a language that isn't known. */
export function highlight(code: string, language: string): ReactNode[] | undefined {
  if (!hljs.getLanguage(language)) return undefined
  return elementsOf(hljs.highlight(code, { language, ignoreIllegals: true }).value)
}

/** highlight.js answers with text and nested `<span class="…">` alone; this reads just that, so no HTML is ever parsed. */
function elementsOf(html: string): ReactNode[] {
  const stack: { className: string; children: ReactNode[] }[] = [{ className: '', children: [] }]
  for (const [, open, close, text] of html.matchAll(/<span class="([^"]*)">|(<\/span>)|([^<]+)/g)) {
    const top = stack.at(-1)!
    if (open !== undefined) stack.push({ className: open, children: [] })
    else if (text !== undefined) top.children.push(decodeEntities(text))
    else if (close && stack.length > 1) {
      stack.pop()
      const parent = stack.at(-1)!
      parent.children.push(
        createElement('span', { className: top.className, key: parent.children.length }, ...top.children),
      )
    }
  }
  return stack[0]!.children
}
