import type { ReactNode } from 'react'
import { highlight } from './highlight.ts'

export default function Highlighted({ code, language }: { code: string; language: string }): ReactNode {
  return highlight(code, language) ?? code
}
