import type { ParticipantRole } from '../entities/participant.ts'
import type { Scope } from './scopes.ts'

/**
 * Who may do and see what. This is the only place that says it: `access.ts` and `schema/rootFields.ts` ask here. A root
 * field without a row is closed to everyone. That fails a test, as does an event or a type of node without one.
 *
 * Who asks, seen from the session in question: `anonymous`, without a token; `outsider`, signed in but no participant,
 * whether a stranger or removed; or a participant by their role. An admin has the rights of whom they are in the session,
 * and besides what the last column lets them.
 */
export type Standing = 'anonymous' | 'outsider' | ParticipantRole

/** They may, or what they get instead: null, or an error with this code. */
export type Verdict = 'yes' | 'null' | 'UNAUTHENTICATED' | 'NOT_FOUND' | 'FORBIDDEN'

export type Rule = Readonly<Record<Standing | 'admin', Verdict>>

const rule = (...[anonymous, outsider, VIEWER, MEMBER, OWNER, admin]: Verdict[]): Rule =>
  ({ anonymous, outsider, VIEWER, MEMBER, OWNER, admin }) as Rule

// prettier-ignore
const rules = {
  //             anonymous          outsider     VIEWER       MEMBER       OWNER        admin
  everyone: rule('yes',             'yes',       'yes',       'yes',       'yes',       'yes'),
  /** Nothing of others is shown or changed by it. */
  signedIn: rule('UNAUTHENTICATED', 'yes',       'yes',       'yes',       'yes',       'yes'),
  finds:    rule('UNAUTHENTICATED', 'null',      'yes',       'yes',       'yes',       'null'),
  reads:    rule('UNAUTHENTICATED', 'NOT_FOUND', 'yes',       'yes',       'yes',       'NOT_FOUND'),
  writes:   rule('UNAUTHENTICATED', 'NOT_FOUND', 'FORBIDDEN', 'yes',       'yes',       'NOT_FOUND'),
  owns:     rule('UNAUTHENTICATED', 'NOT_FOUND', 'FORBIDDEN', 'FORBIDDEN', 'yes',       'NOT_FOUND'),
  leaves:   rule('UNAUTHENTICATED', 'NOT_FOUND', 'yes',       'yes',       'FORBIDDEN', 'NOT_FOUND'),
  admins:   rule('UNAUTHENTICATED', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'yes'),
  /** Their own session's entries; an admin's are all. */
  audits:   rule('UNAUTHENTICATED', 'NOT_FOUND', 'FORBIDDEN', 'FORBIDDEN', 'yes',       'yes'),
} as const

export interface Row {
  readonly rule: Rule
  /** What a key for programs must be good for. */
  readonly scope: Scope
}

const read = (name: keyof typeof rules): Row => ({ rule: rules[name], scope: 'read' })
const write = (name: keyof typeof rules): Row => ({ rule: rules[name], scope: 'write' })
const admin = (name: keyof typeof rules): Row => ({ rule: rules[name], scope: 'admin' })

/** Every root field; in parentheses, what more is asked where an argument or the kind of the result matters. */
export const rootFields = {
  Query: {
    health: read('everyone'),
    server: read('everyone'),
    viewer: read('everyone'),
    /** One's own. */
    apiKeys: read('signedIn'),
    models: read('signedIn'),
    providers: read('signedIn'),
    sessions: read('signedIn'),
    session: read('finds'),
    message: read('finds'),
    node: read('signedIn'),
    /** By id, as `node`. */
    nodes: read('signedIn'),
    'node(Session)': read('finds'),
    'node(Message)': read('finds'),
    'node(Generation)': read('finds'),
    /** Of people: oneself, and those whom one shares a session with. */
    'node(User)': read('finds'),
    stats: read('signedIn'),
    'stats(scope: ALL)': admin('admins'),
    /** With `filter.sessionId`. */
    auditLog: read('audits'),
    'auditLog(all)': admin('admins'),
  },
  Mutation: {
    signInAsGuest: write('everyone'),
    signIn: write('everyone'),
    /** Of the token or key that asks: any may give itself up. */
    signOut: read('signedIn'),
    updateViewer: write('signedIn'),
    /** By a person, as below. */
    deleteViewer: admin('signedIn'),
    /** By a person: no scope lets a key make others. */
    createApiKey: admin('signedIn'),
    revokeApiKey: admin('signedIn'),
    createSession: write('signedIn'),
    deleteEmptySessions: write('signedIn'),
    /** By an invitation, whoever holds it. */
    joinSession: write('signedIn'),
    leaveSession: write('leaves'),
    updateSession: write('owns'),
    deleteSessions: write('owns'),
    inviteToSession: write('owns'),
    removeParticipant: write('owns'),
    changeParticipantRole: write('owns'),
    transferSession: write('owns'),
    sendMessage: write('writes'),
    stopGeneration: write('writes'),
    setTyping: write('writes'),
  },
  Subscription: {
    sessionEvents: read('reads'),
    messageDeltas: read('reads'),
    typing: read('reads'),
    viewerEvents: read('signedIn'),
  },
} as const satisfies Record<string, Record<string, Row>>

type Fields = typeof rootFields
export type Action = keyof Fields['Query'] | keyof Fields['Mutation'] | keyof Fields['Subscription']

const rows: Record<Action, Row> = { ...rootFields.Query, ...rootFields.Mutation, ...rootFields.Subscription }

export const rowOf = (action: Action): Row => rows[action]

/**
 * Whom an event is told: `participants` of its session, whatever their role, or the `others`, which are all but whom it
 * is about. Of their own list people are told who take part (`participants`), or took part until then (`former`).
 */
export type Audience = 'participants' | 'others' | 'former'

export const sessionEvents = {
  MessageAdded: 'participants',
  MessageUpdated: 'participants',
  MessageDeleted: 'participants',
  MessageDelta: 'participants',
  GenerationStarted: 'participants',
  GenerationEnded: 'participants',
  SessionUpdated: 'participants',
  SessionDeleted: 'participants',
  ParticipantJoined: 'participants',
  ParticipantLeft: 'others',
  ParticipantChanged: 'participants',
  TypingChanged: 'others',
  PresenceChanged: 'participants',
  Resync: 'participants',
} as const satisfies Record<string, Audience>

export const viewerEvents = {
  SessionListed: 'participants',
  SessionChanged: 'participants',
  SessionUnlisted: 'former',
} as const satisfies Record<string, Audience>

/**
 * What a result shows to a key that may write and not read: what the mutation made or was given, and ids. By field of a
 * success, as paths below it; of one that is not here the id alone. Whatever else it leads to takes the scope `read`.
 * Nothing may be here that a repeat of the mutation, or a change of something else, would show of what others wrote.
 */
export const shownWithoutRead = {
  'CreateSessionSuccess.session': ['id', 'createdAt'],
  'CreateSessionSuccess.edge': ['node.id', 'node.createdAt'],
  'SendMessageSuccess.sent': ['id', 'content', 'role', 'type', 'metadata', 'createdAt'],
  'ChangeParticipantRoleSuccess.participant': ['id', 'role'],
  'SignInAsGuestSuccess.user': ['id', 'name', 'createdAt'],
  'SignInSuccess.user': ['id', 'name', 'createdAt'],
  'UpdateViewerSuccess.viewer': ['id', 'name', 'createdAt'],
} as const satisfies Record<string, readonly string[]>
