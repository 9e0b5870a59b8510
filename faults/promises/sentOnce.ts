import { randomUUID } from 'node:crypto'
import { signIn } from '../../tests/support/clients.ts'
import { createSession, trySend, type SendResult } from '../../tests/support/operations.ts'
import { startProxy } from '../../tests/support/proxy.ts'
import { startModel } from '../support/model.ts'
import { never, promise, tried } from '../support/promise.ts'
import { startCluster } from '../support/serverNode.ts'
import { openStored } from '../support/stored.ts'
import { until } from '../support/until.ts'

const atOnce = 20

export const sentOnce = promise(
  5,
  'A send that is repeated is one send',
  {
    short: { dropped: 5, parallel: 3 },
    usual: { dropped: 50, parallel: 20 },
    long: { dropped: 500, parallel: 200 },
  },
  async (attack, { dropped, parallel }) => {
    const fake = await startModel(attack)
    const env = { LOCAL_BASE_URL: fake.url }
    const { nodes, databaseUrl } = await startCluster(attack, [env, env])
    const [first, second] = nodes as [(typeof nodes)[0], (typeof nodes)[0]]
    const proxy = await startProxy(first)
    attack.defer(() => proxy.stop())
    const behindProxy = { url: `http://127.0.0.1:${proxy.port}` }
    const stored = await openStored(databaseUrl)
    attack.defer(() => stored.close())
    const ada = await signIn(first)
    const sessionId = await createSession(first, ada)
    const sends: { id: string; content: string; answers: SendResult[] }[] = []
    const makeSend = () => {
      const content = `only once ${attack.random.int(0, 1e9)}-${sends.length} [[tokens=3]]`
      const made = { id: randomUUID(), content, answers: [] as SendResult[] }
      sends.push(made)
      return made
    }
    const inputOf = ({ id, content }: { id: string; content: string }) => ({ sessionId, id, content })

    // the answer is lost at its first byte: what it tells of is committed by then
    let unanswered = 0
    let committed = 0
    for (let n = 0; n < dropped; n++) {
      const one = makeSend()
      proxy.cutRandomly({ random: attack.random, afterBytes: [1, 1], ways: ['rst', 'fin'] })
      await trySend(behindProxy, ada, inputOf(one)).then(
        (answer) => one.answers.push(answer),
        () => unanswered++,
      )
      proxy.cutRandomly(null)
      if ((await stored.all(`SELECT id FROM messages WHERE id = ?`, [one.id])).length === 1) committed++
      one.answers.push(await trySend(attack.random.pick([first, second]), ada, inputOf(one)))
    }
    for (let n = 0; n < parallel; n++) {
      const one = makeSend()
      const tries = Array.from({ length: atOnce }, (_, index) => trySend(nodes[index % 2]!, ada, inputOf(one)))
      one.answers.push(...(await Promise.all(tries)))
    }
    let otherBodies = 0
    let accepted = 0
    for (const one of sends) {
      otherBodies++
      const other = await trySend(attack.random.pick([first, second]), ada, { ...inputOf(one), content: 'another' })
      if (other.__typename !== 'ConflictError') accepted++
    }
    await until(
      async () => (await stored.all(`SELECT id FROM generations WHERE ended_at IS NULL`)).length === 0,
      20_000,
    )

    const calls = new Map<string, number>()
    for (const { body } of fake.requests) {
      const asked = body.messages.findLast(({ role }) => role === 'user')!.content
      calls.set(asked, (calls.get(asked) ?? 0) + 1)
    }
    let notOnce = 0
    let notCalledOnce = 0
    let notOneReply = 0
    let notAnswered = 0
    for (const { id, content, answers } of sends) {
      const messages = await stored.all(`SELECT id FROM messages WHERE content = ? OR id = ?`, [content, id])
      if (messages.length !== 1) notOnce++
      const replies = await stored.all(`SELECT id FROM messages WHERE parent_id = ? AND role = 'ASSISTANT'`, [id])
      const generations = await stored.all(
        `SELECT g.id FROM generations g JOIN messages m ON m.id = g.message_id WHERE m.parent_id = ?`,
        [id],
      )
      if (replies.length !== 1 || generations.length !== 1) notOneReply++
      if (calls.get(content) !== 1) notCalledOnce++
      const told = new Set(answers.map(({ sent, reply, generation }) => `${sent?.id} ${reply?.id} ${generation?.id}`))
      if (told.size !== 1 || answers.some(({ __typename }) => __typename !== 'SendMessageSuccess')) notAnswered++
    }
    return [
      tried('answers dropped', unanswered, dropped),
      tried('of those committed', committed, dropped),
      tried(`ids sent ${atOnce} times at once on two nodes`, parallel),
      tried('sends with another body', otherBodies),
      never('not stored exactly once', notOnce),
      never('without exactly one reply', notOneReply),
      never('without exactly one call to the provider', notCalledOnce),
      never('repeats that were told something else', notAnswered),
      never('other bodies without a ConflictError', accepted),
    ]
  },
)
