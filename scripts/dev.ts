/** `npm run dev`: the server and the web client, both with reload; Ctrl-C ends both. */
import { createChildren, programPath } from './children.ts'

const children = createChildren()

// Whichever ends first takes the other with it: half of the pair is no use.
const codes = await Promise.all(
  [
    ['--watch', '--watch-preserve-output', 'server/main.ts'],
    [programPath('vite'), 'client'],
  ].map((args) => children.run(args).finally(() => children.end())),
)
process.exitCode = Math.max(...codes)
