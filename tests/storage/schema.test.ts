import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { ApiKeyEntity } from '../../server/entities/apiKey.ts'
import { AuditEntryEntity } from '../../server/entities/auditEntry.ts'
import { DeletedAccountEntity } from '../../server/entities/deletedAccount.ts'
import { GenerationEntity } from '../../server/entities/generation.ts'
import { InvitationEntity } from '../../server/entities/invitation.ts'
import { MessageEntity } from '../../server/entities/message.ts'
import { OwnerDecisionEntity } from '../../server/entities/ownerDecision.ts'
import { ParticipantEntity } from '../../server/entities/participant.ts'
import { RevokedTokenEntity } from '../../server/entities/revokedToken.ts'
import { SessionEntity } from '../../server/entities/session.ts'
import { SessionEventEntity } from '../../server/entities/sessionEvent.ts'
import { SessionLogEntity } from '../../server/entities/sessionLog.ts'
import { UsageRecordEntity } from '../../server/entities/usageRecord.ts'
import { UserEntity } from '../../server/entities/user.ts'
import { entityList } from '../../server/storage/entityList.ts'
import { toDate, toJson } from '../../server/storage/storage.ts'
import { noSettings } from '../support/rows.ts'
import { describeOnEach } from '../support/storages.ts'

const byText = (one: string, other: string): number => one.localeCompare(other)

describeOnEach('the schema', (database) => {
  test('holds one of each entity, and gives it back as it was', async () => {
    const now = new Date('2026-02-03T04:05:06.789Z')
    const [userId, sessionId, messageId, generationId, id] = Array.from({ length: 5 }, () => randomUUID()) as [
      string,
      string,
      string,
      string,
      string,
    ]
    const settings = { ...noSettings, systemPrompt: 'Be "brief" 😀', temperature: 0.5, tools: ['clock'] }
    const metadata = { nested: { list: [1, 'two', null] }, ключ: true }
    const { storage } = database
    await storage.transaction(async (tx) => {
      const { em } = tx
      // one after the other, since the entities know of no order among them
      const create = async (entity: object): Promise<void> => {
        em.persist(entity)
        await em.flush()
      }
      await create(
        em.create(UserEntity, {
          id: userId,
          subject: 'auth0|1',
          name: 'Ada',
          isNameChosen: true,
          isAdmin: true,
          createdAt: now,
          lastSeenAt: now,
        }),
      )
      await create(
        em.create(SessionEntity, {
          id: sessionId,
          ownerId: userId,
          title: 'A title',
          isTitleSet: true,
          model: 'local/fake',
          settings,
          metadata,
          isArchived: false,
          messageCount: 1,
          createdAt: now,
          updatedAt: now,
          lastActiveAt: now,
        }),
      )
      await create(em.create(ParticipantEntity, { sessionId, userId, role: 'OWNER', joinedAt: now }))
      await create(em.create(OwnerDecisionEntity, { sessionId, userId, seq: 1 }))
      await create(
        em.create(InvitationEntity, {
          id,
          sessionId,
          createdById: userId,
          tokenHash: 'f'.repeat(64),
          role: 'VIEWER',
          expiresAt: now,
          maxUses: null,
          uses: 3,
          createdAt: now,
          seq: 1,
        }),
      )
      await create(
        em.create(MessageEntity, {
          id: messageId,
          sessionId,
          seq: 1,
          role: 'ASSISTANT',
          type: 'TEXT',
          content: 'Text with 漢😀 and "quotes"\n',
          contentSeq: 1,
          status: 'STREAMING',
          authorId: null,
          parentId: null,
          model: 'local/fake',
          metadata,
          createdAt: now,
          updatedAt: now,
        }),
      )
      await create(
        em.create(GenerationEntity, {
          id: generationId,
          messageId,
          sessionId,
          userId,
          model: 'local/fake',
          settings,
          status: 'FAILED',
          attempts: 3,
          finishReason: 'LENGTH',
          errorCode: 'PROVIDER_ERROR',
          errorMessage: 'It broke.',
          timeToFirstTokenMs: null,
          responseTimeMs: 12,
          ownerNode: id,
          leaseUntil: now,
          fence: 2,
          startedAt: now,
          endedAt: now,
        }),
      )
      await create(
        em.create(UsageRecordEntity, {
          id,
          generationId,
          sessionId,
          userId,
          model: 'local/fake',
          promptTokens: 1,
          completionTokens: 2,
          isEstimated: true,
          createdAt: now,
        }),
      )
      await create(
        em.create(AuditEntryEntity, {
          id,
          userId,
          address: '127.0.0.1',
          action: 'sendMessage',
          sessionId,
          subjectId: messageId,
          errorCode: null,
          durationMs: 7,
          createdAt: now,
        }),
      )
      await create(
        em.create(ApiKeyEntity, {
          ...{ id, userId, name: 'A program', start: 'parley_abc', keyHash: 'a'.repeat(64), scopes: ['read', 'admin'] },
          ...{ createdAt: now, expiresAt: now, lastUsedAt: null, revokedAt: now },
        }),
      )
      await create(em.create(DeletedAccountEntity, { subjectHash: 'c'.repeat(64), userId, deletedAt: now }))
      await tx.run('INSERT INTO revoked_tokens (credential, expires_at) VALUES (?, ?)', ['b'.repeat(64), now])
      await tx.run('INSERT INTO session_logs (session_id, last_seq) VALUES (?, 1)', [sessionId])
    })
    const em = storage.orm.em.fork()
    const log = await em.findOneOrFail(SessionLogEntity, { sessionId })
    await storage.transaction(async (tx) => {
      tx.em.persist(
        tx.em.create(SessionEventEntity, {
          logId: log.logId,
          seq: 1,
          kind: 0,
          subjectId: null,
          messageSeq: 1,
          textOffset: 0,
          data: 'a delta',
          createdAt: now,
        }),
      )
    })

    const plain = async (entity: (typeof entityList)[number]): Promise<object[]> =>
      (await em.find(entity as typeof UserEntity, {})).map((found) => ({ ...found }))
    expect(await plain(UserEntity)).toEqual([
      {
        ...{ id: userId, subject: 'auth0|1', name: 'Ada', isNameChosen: true, isAdmin: true },
        ...{ createdAt: now, lastSeenAt: now },
      },
    ])
    expect(await plain(SessionEntity)).toMatchObject([
      { id: sessionId, isTitleSet: true, isArchived: false, settings, metadata, messageCount: 1, lastActiveAt: now },
    ])
    expect(await plain(SessionLogEntity)).toEqual([{ logId: log.logId, sessionId, lastSeq: 1 }])
    expect(await plain(ParticipantEntity)).toEqual([{ sessionId, userId, role: 'OWNER', joinedAt: now }])
    expect(await plain(OwnerDecisionEntity)).toEqual([{ sessionId, userId, seq: 1 }])
    expect(await plain(InvitationEntity)).toMatchObject([{ tokenHash: 'f'.repeat(64), maxUses: null, uses: 3 }])
    expect(await plain(MessageEntity)).toMatchObject([
      { id: messageId, content: 'Text with 漢😀 and "quotes"\n', authorId: null, metadata, updatedAt: now },
    ])
    expect(await plain(GenerationEntity)).toMatchObject([
      { id: generationId, settings, errorCode: 'PROVIDER_ERROR', timeToFirstTokenMs: null, leaseUntil: now, fence: 2 },
    ])
    expect(await plain(UsageRecordEntity)).toMatchObject([{ generationId, isEstimated: true, createdAt: now }])
    expect(await plain(AuditEntryEntity)).toMatchObject([{ address: '127.0.0.1', errorCode: null, durationMs: 7 }])
    expect(await plain(ApiKeyEntity)).toMatchObject([
      { start: 'parley_abc', scopes: ['read', 'admin'], expiresAt: now, lastUsedAt: null, revokedAt: now },
    ])
    expect(await plain(DeletedAccountEntity)).toEqual([{ subjectHash: 'c'.repeat(64), userId, deletedAt: now }])
    expect(await plain(RevokedTokenEntity)).toEqual([{ seq: 1, credential: 'b'.repeat(64), expiresAt: now }])
    expect(await plain(SessionEventEntity)).toEqual([
      {
        logId: log.logId,
        seq: 1,
        kind: 0,
        subjectId: null,
        messageSeq: 1,
        textOffset: 0,
        data: 'a delta',
        createdAt: now,
      },
    ])
    expect(entityList).toHaveLength(14)

    const [row] = await storage.read.all(`SELECT created_at AS "at", settings FROM sessions WHERE id = ?`, [sessionId])
    expect([toDate(row!.at), toJson(row!.settings)]).toEqual([now, settings])
  })

  test('has every column of every entity and no other', async () => {
    const { storage } = database
    const columnsOf = async (table: string): Promise<unknown[]> => {
      const rows =
        database.kind === 'sqlite'
          ? await storage.read.all(`SELECT name FROM pragma_table_info(?)`, [table])
          : await storage.read.all(`SELECT column_name AS name FROM information_schema.columns WHERE table_name = ?`, [
              table,
            ])
      return rows.map(({ name }) => String(name)).sort(byText)
    }
    for (const { tableName, props } of storage.orm.getMetadata().getAll().values())
      expect({ tableName, columns: await columnsOf(tableName) }).toEqual({
        tableName,
        columns: props.flatMap(({ fieldNames }) => fieldNames).sort(byText),
      })
  })
})
