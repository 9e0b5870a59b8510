import { signIn } from '../../tests/support/clients.ts'
import { text } from '../../tests/support/fakeModelServer.ts'
import { createSession, send } from '../../tests/support/operations.ts'
import { startModel } from '../support/model.ts'
import { never, promise, tried } from '../support/promise.ts'
import { databaseFor, startNode } from '../support/serverNode.ts'
import { openStored, readAnswer } from '../support/stored.ts'
import { until } from '../support/until.ts'

interface Case {
  /** What the model does, in the words of the fake. */
  words: string
  /** Tokens that come before it. */
  tokens: number
  /** Calls that the provider must see: more than one only before the first token. */
  calls: number
  status: 'FAILED' | 'COMPLETE'
  /** Milliseconds that must lie between the first two calls. */
  waitsMs?: number
}

const attempts = 3

/** Every way that we know of for an answer to be cut, at a place drawn for each round. */
function casesAt(tokens: number): Case[] {
  const later = (words: string): Case => ({ words: `tokens=40 ${words}=${tokens}`, tokens, calls: 1, status: 'FAILED' })
  const before = (words: string, calls = attempts): Case => ({ words, tokens: 0, calls, status: 'FAILED' })
  return [
    ...['eof', 'reset', 'error', 'stall', 'garbage'].map(later),
    before('tokens=40 eof=0'),
    before('tokens=40 reset=0'),
    before('tokens=40 error=0'),
    before('tokens=40 stall=0'),
    before('empty'),
    before('hang'),
    before('status=500'),
    before('status=503'),
    before('status=429 retryAfter=1'),
    before('status=400', 1),
    before('status=401', 1),
    { words: 'tokens=30 failures=1', tokens: 30, calls: 2, status: 'COMPLETE' },
    { words: 'tokens=30 failures=2', tokens: 30, calls: 3, status: 'COMPLETE' },
    { words: 'tokens=30 failures=1 status=429 retryAfter=1', tokens: 30, calls: 2, status: 'COMPLETE', waitsMs: 950 },
    { words: 'tokens=30 split=7 unicode comments', tokens: 30, calls: 1, status: 'COMPLETE' },
    { words: 'tokens=30 linger', tokens: 30, calls: 1, status: 'COMPLETE' },
    { words: 'tokens=30 usage=off', tokens: 30, calls: 1, status: 'COMPLETE' },
  ]
}

export const cutAnswers = promise(
  7,
  'A cut answer never looks whole',
  { short: { rounds: 1 }, usual: { rounds: 3 }, long: { rounds: 30 } },
  async (attack, { rounds }) => {
    const fake = await startModel(attack)
    const databaseUrl = await databaseFor(attack, 'sqlite')
    const timeouts: Record<string, string> = {
      PROVIDER_SILENCE_TIMEOUT_MS: '400',
      PROVIDER_FIRST_TOKEN_TIMEOUT_MS: '400',
      PROVIDER_ATTEMPTS: String(attempts),
    }
    const node = await startNode(attack, { ...timeouts, DATABASE_URL: databaseUrl, LOCAL_BASE_URL: fake.url })
    const stored = await openStored(databaseUrl)
    attack.defer(() => stored.close())
    const ada = await signIn(node)
    const sessionId = await createSession(node, ada)
    const tally = { cut: 0, whole: 0, complete: 0, failed: 0, texts: 0, retries: 0, silent: 0, waits: 0, running: 0 }
    const wrong: string[] = []
    let n = 0

    async function ask(one: Case): Promise<void> {
      const seed = `p7-${n++}-${attack.random.int(0, 1e9)}`
      const content = `case ${seed} [[${one.words} seed=${seed}]]`
      const { replyId } = await send(node, ada, sessionId, content)
      const isOver = async () => (await readAnswer(stored, replyId))?.isRunning === false
      if (!(await until(isOver, 20_000))) tally.running++
      const answer = (await readAnswer(stored, replyId))!
      const calls = fake.requests.filter(({ body }) => body.messages.at(-1)!.content === content)
      const note = (isWrong: boolean): number => {
        if (isWrong)
          wrong.push(`${one.words}: ${answer.status}, ${calls.length} calls, ${answer.content.length} characters`)
        return Number(isWrong)
      }
      if (one.status === 'FAILED') tally.cut++
      else tally.whole++
      tally.complete += note(one.status === 'FAILED' && answer.status === 'COMPLETE')
      tally.failed += note(answer.status !== one.status && answer.status !== 'COMPLETE')
      tally.texts += note(answer.content !== text(seed, one.tokens, one.words.includes('unicode')))
      if (one.tokens > 0 && one.status === 'FAILED') tally.silent += note(calls.length > 1)
      else tally.retries += note(calls.length !== one.calls)
      if (one.waitsMs) tally.waits += note(calls[1]!.receivedAt - calls[0]!.closedAt! < one.waitsMs)
    }

    for (let round = 0; round < rounds; round++)
      for (const one of casesAt(attack.random.int(1, 39))) {
        await ask(one)
        // a whole answer, so that the circuit breaker stays closed and every case is seen on its own
        await ask({ words: 'tokens=5', tokens: 5, calls: 1, status: 'COMPLETE' })
      }
    if (wrong.length > 0) console.error(wrong.join('\n'))
    return [
      tried('cut answers', tally.cut),
      tried('whole ones', tally.whole),
      never('COMPLETE although cut', tally.complete),
      never('other than FAILED or COMPLETE as they should be', tally.failed),
      never('texts other than what had come', tally.texts),
      never('silent retries after the first token', tally.silent),
      never('retries before it other than configured', tally.retries),
      never('Retry-After not honoured', tally.waits),
      never('never ended', tally.running),
    ]
  },
)
