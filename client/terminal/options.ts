import { parseArgs } from 'node:util'

export interface Options {
  url: string
  /** What `--token` or PARLEY_TOKEN says. */
  token: string | undefined
  name: string | undefined
  sessionId: string | undefined
  /** From an invitation. */
  invitation: string | undefined
  isInviting: boolean
  /** How long to try a server that can't be reached; undefined where nothing is said. */
  waitMs: number | undefined
}

export const help = `A conversation in the terminal.

  npm run chat -- [options]             type a line to send it; Ctrl-C stops an answer, or leaves; Ctrl-D leaves
  echo Hello | npm run -s chat          sends all of the input, prints the answer

  --url URL        the server (default http://127.0.0.1:4000)
  --session ID     a session that you take part in; without it a new one is made
  --join LINK      an invitation's link, or the token in it
  --invite         prints a link by which others can join
  --token TOKEN    who you are, also from PARLEY_TOKEN; without it you are a guest, the same one each time
  --name NAME      the guest's name (default Guest); another name is another guest
  --wait SECONDS   how long to try a server that isn't there (default 10 with input from a pipe, else for ever)
  --help
`

/** Reads the command line; throws a sentence that says what is wrong with it. */
export function readOptions(args: string[], env: NodeJS.ProcessEnv): Options | 'help' {
  const { values } = parseArgs({
    args,
    options: {
      url: { type: 'string', default: 'http://127.0.0.1:4000' },
      session: { type: 'string' },
      join: { type: 'string' },
      invite: { type: 'boolean', default: false },
      token: { type: 'string' },
      name: { type: 'string' },
      wait: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return 'help'
  if (!URL.canParse(values.url) || !/^https?:$/.test(new URL(values.url).protocol)) {
    throw new Error(`--url must be like http://127.0.0.1:4000, not ${values.url}`)
  }
  if (values.wait !== undefined && !/^\d+$/.test(values.wait)) {
    throw new Error(`--wait must be a number of seconds, not ${values.wait}`)
  }
  if (values.session && values.join) throw new Error('--session and --join exclude each other.')
  return {
    url: values.url,
    token: values.token ?? env.PARLEY_TOKEN,
    name: values.name,
    sessionId: values.session,
    invitation: values.join === undefined ? undefined : tokenOf(values.join),
    isInviting: values.invite,
    waitMs: values.wait === undefined ? undefined : Number(values.wait) * 1000,
  }
}

function tokenOf(linkOrToken: string): string {
  if (!URL.canParse(linkOrToken)) return linkOrToken
  return new URLSearchParams(new URL(linkOrToken).hash.slice(1)).get('token') ?? linkOrToken
}
