import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { sessionEvents, viewerEvents } from '../../server/guards/accessTable.ts'
import { sessionEvent, type EventDraft } from '../../server/log/event.ts'
import {
  attemptsIn,
  foreignIn,
  makeWorld,
  participants,
  printedSchema,
  roles,
  roomy,
  verdictOf,
  type Attempt,
  type Role,
  type World,
} from '../support/accessMatrix.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { gql, signIn } from '../support/clients.ts'
import { openFollowing, streams, type Following } from '../support/followings.ts'
import { join, mutate, send } from '../support/operations.ts'

type Kind = keyof typeof sessionEvents

const schema = printedSchema()

/** Patience for a busy machine. */
const patiently = { timeout: 15_000 }

describe('every event, to everyone', () => {
  let app: TestApp
  const open: Following[] = []
  beforeAll(async () => void (app = await startApp({ env: roomy })))
  afterEach(async () => void (await Promise.all(open.splice(0).map((following) => following.close()))))
  afterAll(() => app?.stop())

  const isTold = (kind: string) => (following: Following) => following.raw.includes(`"__typename":"${kind}"`)

  /** What makes an event of each kind; the deletion is the last one. */
  function emitters({
    people: { owner, member },
    sessionId,
    sentId,
    words,
  }: World): Record<Kind, () => Promise<unknown>> {
    const append = (draft: EventDraft) =>
      app.services.storage.transaction((tx) => app.services.log.append(tx, sessionId, [draft]))
    const answered = async () => {
      const { replyId } = await send(app, owner, sessionId, `${words} once more [[tokens=3]]`)
      await expect.poll(async () => await readStatus(replyId, owner.token), patiently).toBe('COMPLETE')
    }
    const newcomer = signIn(app, 'Newcomer')
    return {
      MessageAdded: answered,
      GenerationStarted: answered,
      MessageDelta: answered,
      GenerationEnded: answered,
      MessageUpdated: () => append({ kind: 'MessageUpdated', subjectId: sentId }),
      MessageDeleted: () => append({ kind: 'MessageDeleted', subjectId: sentId }),
      SessionUpdated: () => mutate(app, owner, 'updateSession', { sessionId, title: `${words} anew` }),
      ParticipantJoined: async () => join(app, owner, await newcomer, sessionId),
      ParticipantChanged: async () =>
        mutate(app, owner, 'changeParticipantRole', { sessionId, userId: (await newcomer).id, role: 'VIEWER' }),
      ParticipantLeft: async () => mutate(app, await newcomer, 'leaveSession', { sessionId }),
      TypingChanged: () => mutate(app, member, 'setTyping', { sessionId, isTyping: true }),
      PresenceChanged: async () =>
        app.services.log.passBy(sessionEvent({ kind: 'PresenceChanged', sessionId, subjectId: owner.id, isOn: true })),
      // told to each who asks for it
      Resync: async () => undefined,
      SessionDeleted: () => mutate(app, owner, 'deleteSessions', { sessionIds: [sessionId] }),
    }
  }

  const readStatus = async (id: string, token: string) =>
    (
      await gql<{ message: { status: string } | null }>(
        app,
        'query ($id: ID!) { message(id: $id) { status } }',
        { id },
        { token },
      )
    ).message?.status

  async function followAs(by: (typeof streams)[number], world: World, attempt: Attempt, more = {}) {
    const asked = { ...attempt, variables: { ...attempt.variables, ...more } }
    const followings = await Promise.all(
      roles.map(async (role) => [role, await openFollowing(app, by, asked, world.people[role].token)] as const),
    )
    open.push(...followings.map(([, following]) => following))
    return followings
  }

  test.each(streams)('over %s is told as the table says, live and read again', async (by) => {
    const world = await makeWorld(() => app, `events${by}`)
    const { sessionId, people } = world
    const subscriptions = attemptsIn(schema, world).filter(({ kind }) => kind === 'subscription')
    const named = (name: string) => subscriptions.find(({ field }) => field === name)!
    const stalled = await send(app, people.owner, sessionId, `${world.words} [[tokens=9 stall=4]]`)
    const { session } = await gql<{ session: { lastSeq: number } }>(
      app,
      'query ($id: ID!) { session(id: $id) { lastSeq } }',
      { id: sessionId },
      people.owner,
    )
    const live = await followAs(by, world, named('sessionEvents'), { after: session.lastSeq })
    const others = [
      await followAs(by, world, named('sessionEvents'), { after: 1_000_000 }),
      await followAs(by, world, named('messageDeltas'), { messageId: stalled.replyId }),
      await followAs(by, world, named('typing')),
      await followAs(by, world, named('viewerEvents')),
    ] as const
    const [resync, deltas, typing, lists] = others

    const emit = emitters(world)
    const told = (kind: Kind): Role[] =>
      participants.filter((role) => sessionEvents[kind] === 'participants' || role !== aboutWhom[kind])
    const kinds = (Object.keys(emit) as Kind[]).filter((kind) => kind !== 'Resync' && kind !== 'SessionDeleted')
    const hearing = (of: readonly (readonly [Role, Following])[], kind: string) => () =>
      of.filter(([, following]) => isTold(kind)(following)).map(([role]) => role)
    for (const kind of kinds) {
      await emit[kind]()
      await expect.poll(hearing(live, kind), { ...patiently, message: kind }).toEqual(told(kind))
    }
    await expect.poll(hearing(resync, 'Resync'), patiently).toEqual(told('Resync'))
    await expect.poll(hearing(deltas, 'MessageDelta'), patiently).toEqual(participants)
    // nothing says when it has begun to listen
    await expect
      .poll(async () => (await emit.TypingChanged(), hearing(typing, 'TypingChanged')()), patiently)
      .toEqual(['owner', 'viewer'])
    await expect
      .poll(async () => (await emit.SessionUpdated(), hearing(lists, 'SessionChanged')()), patiently)
      .toEqual(participants)

    const again = await followAs(by, world, named('sessionEvents'))
    for (const kind of kinds.filter((one) => !['TypingChanged', 'PresenceChanged', 'MessageDeleted'].includes(one)))
      await expect.poll(hearing(again, kind), { ...patiently, message: kind }).toEqual(participants)

    await emit.SessionDeleted()
    await expect.poll(hearing(live, 'SessionDeleted'), patiently).toEqual(participants)
    await expect.poll(hearing(lists, 'SessionUnlisted'), patiently).toEqual(participants)
    for (const following of [live, resync, deltas, typing, again])
      await expect.poll(() => following.every(([, { isOver }]) => isOver), patiently).toBe(true)

    const all = [
      [named('sessionEvents'), live],
      [named('sessionEvents'), again],
      [named('sessionEvents'), resync],
      [named('messageDeltas'), deltas],
      [named('typing'), typing],
      [named('viewerEvents'), lists],
    ] as const
    for (const [attempt, followings] of all)
      for (const [role, { raw, results }] of followings) {
        const verdict = verdictOf(attempt.row, role)
        const codes = results.map(({ result }) => codeOf(result))
        const foreign = participants.includes(role) ? [] : foreignIn(world, raw, attempt)
        expect([verdict === 'yes' ? [verdict] : codes, foreign], `${role}: ${raw}`).toEqual([[verdict], []])
      }
  })

  test('of a list of sessions is told whose list it is', async () => {
    const kinds = new Set<string>()
    const [owner, guest, stranger] = [await signIn(app, 'Ada'), await signIn(app, 'Bob'), await signIn(app, 'Eve')]
    const world = await makeWorld(() => app, 'lists')
    const lists = attemptsIn(schema, world).find(({ field }) => field === 'viewerEvents')!
    const [theirs, hers] = [
      await openFollowing(app, 'WebSocket', lists, guest.token),
      await openFollowing(app, 'WebSocket', lists, stranger.token),
    ]
    open.push(theirs, hers)
    const { createSession } = await gql<{ createSession: { session: { id: string } } }>(
      app,
      'mutation { createSession(input: { title: "Ours alone" }) { ... on CreateSessionSuccess { session { id } } } }',
      {},
      owner,
    )
    const { id: sessionId } = createSession.session
    const heard = () => Object.keys(viewerEvents).filter((kind) => isTold(kind)(theirs))
    // nothing says when it has begun to listen
    await expect
      .poll(async () => {
        await join(app, owner, guest, sessionId)
        await mutate(app, owner, 'updateSession', { sessionId, title: 'Ours alone still' })
        await mutate(app, guest, 'leaveSession', { sessionId })
        for (const kind of heard()) kinds.add(kind)
        return heard()
      }, patiently)
      .toEqual(Object.keys(viewerEvents))
    expect([hers.results, hers.raw.includes('Ours')]).toEqual([[], false])
  })
})

/** Whom the events are about that their own connections don't hear; the newcomer follows nothing. */
const aboutWhom: Partial<Record<Kind, Role>> = { TypingChanged: 'member' }

const codeOf = (result: { errors?: { extensions?: Record<string, unknown> }[] }) => result.errors?.[0]?.extensions?.code
