import { randomUUID } from 'node:crypto'
import { signToken, startApp, type TestApp } from './app.ts'
import { gql, signIn, type Person } from './clients.ts'
import type { StorageKind } from './storages.ts'

export type Filter = Record<string, unknown>

export interface Entry {
  id: string
  createdAt: string
  action: string
  userId: string | null
  user: { name: string } | null
  address: string | null
  requestId: string | null
  sessionId: string | null
  subjectId: string | null
  outcome: string
  errorCode: string | null
  durationMs: number
  times: number
}

export interface AuditPage {
  totalCount: number
  edges: { cursor: string; node: Entry }[]
  pageInfo: { hasNextPage: boolean; endCursor: string | null }
}

export const document = `query Audit($filter: AuditFilter, $first: Int, $after: String) {
  auditLog(filter: $filter, first: $first, after: $after) {
    totalCount
    edges { cursor node {
      id createdAt action userId user { name } address requestId sessionId subjectId outcome errorCode durationMs times } }
    pageInfo { hasNextPage endCursor }
  }
}`

/** A server that notes every refusal, an admin who may read of all of them, and someone else. */
export async function startAudited(storage: StorageKind): Promise<{ app: TestApp; admin: Person; ada: Person }> {
  const app = await startApp({
    storage,
    env: { AUDIT_REFUSALS_PER_MINUTE: '100000', ALLOWED_ORIGINS: 'https://friend.example' },
  })
  const id = randomUUID()
  const admin = { id, name: 'Root', token: await signToken({ sub: id, name: 'Root', admin: true }) }
  return { app, admin, ada: await signIn(app) }
}

export const readPage = async (
  app: TestApp,
  by: Person,
  filter: Filter,
  args: { first?: number; after?: string } = {},
): Promise<AuditPage> => (await gql<{ auditLog: AuditPage }>(app, document, { filter, ...args }, by)).auditLog

/** The newest, as many as a page may have. */
export const readEntries = async (app: TestApp, by: Person, filter: Filter = {}): Promise<Entry[]> =>
  (await readPage(app, by, filter, { first: 200 })).edges.map(({ node }) => node)
