import { ApiKeyEntity } from '../entities/apiKey.ts'
import { AuditEntryEntity } from '../entities/auditEntry.ts'
import { DeletedAccountEntity } from '../entities/deletedAccount.ts'
import { GenerationEntity } from '../entities/generation.ts'
import { InvitationEntity } from '../entities/invitation.ts'
import { MessageEntity } from '../entities/message.ts'
import { OwnerDecisionEntity } from '../entities/ownerDecision.ts'
import { ParticipantEntity } from '../entities/participant.ts'
import { RevokedTokenEntity } from '../entities/revokedToken.ts'
import { SessionEntity } from '../entities/session.ts'
import { SessionEventEntity } from '../entities/sessionEvent.ts'
import { SessionLogEntity } from '../entities/sessionLog.ts'
import { UsageRecordEntity } from '../entities/usageRecord.ts'
import { UserEntity } from '../entities/user.ts'

export const entityList = [
  UserEntity,
  SessionEntity,
  SessionLogEntity,
  SessionEventEntity,
  ParticipantEntity,
  OwnerDecisionEntity,
  InvitationEntity,
  MessageEntity,
  GenerationEntity,
  UsageRecordEntity,
  AuditEntryEntity,
  ApiKeyEntity,
  RevokedTokenEntity,
  DeletedAccountEntity,
]
