import { ForbiddenError, InvalidInputError, NotFoundError, RateLimitedError } from '../errors.ts'
import type { Scope } from '../guards/scopes.ts'
import { apiKeys, createApiKey, revokeApiKey, type ApiKeyRow } from '../resolvers/apiKeys.ts'
import { builder } from './builder.ts'
import { resultUnion } from './errors.ts'

const ApiKeyScope = builder.enumType('ApiKeyScope', {
  description: 'What an API key may be used for. None includes another.',
  values: {
    READ: { value: 'read', description: 'Queries and subscriptions.' },
    WRITE: {
      value: 'write',
      description:
        'Mutations. Without READ their results show only ids, and what the mutation itself made; a document that asks for more is FORBIDDEN.',
    },
    ADMIN: { value: 'admin', description: 'What only admins may; for keys of admins.' },
  } satisfies Record<Uppercase<Scope>, { value: Scope; description: string }>,
})

const ApiKey = builder.objectRef<ApiKeyRow>('ApiKey').implement({
  description: 'A credential for programs. It may do what its owner may, within its scopes, until it ends.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'For `revokeApiKey`.' }),
    name: t.exposeString('name', { description: 'What its owner calls it.' }),
    start: t.exposeString('start', { description: 'What the key begins with, to tell it from others.' }),
    scopes: t.expose('scopes', { type: [ApiKeyScope], description: 'What it may be used for.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', description: 'When it ends by itself.' }),
    lastUsedAt: t.expose('lastUsedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was last used, to the minute; null where it never was.',
    }),
    revokedAt: t.expose('revokedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was revoked; null where it was not.',
    }),
  }),
})

builder.queryField('apiKeys', (t) =>
  t.field({
    type: [ApiKey],
    description: "The viewer's API keys that were not revoked, newest first.",
    resolve: (_source, _args, ctx) => apiKeys(ctx),
  }),
)

const CreateApiKeyInput = builder.inputType('CreateApiKeyInput', {
  description: 'What the key is for.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'What to call it: 1 to 100 characters.' }),
    scopes: t.field({
      type: [ApiKeyScope],
      required: true,
      description: 'What it may be used for: at least one. ADMIN is for admins.',
    }),
    expiresInSeconds: t.int({
      defaultValue: 7_776_000,
      description: 'Seconds for which it can be used: 1 to 31,536,000.',
    }),
  }),
})

const CreateApiKeySuccess = builder.objectRef<{ key: string; apiKey: ApiKeyRow }>('CreateApiKeySuccess').implement({
  description: 'A new API key.',
  fields: (t) => ({
    key: t.exposeString('key', {
      description:
        'The key, to be sent as a token is: `Authorization: Bearer parley_…`. It is shown this once and stored only as a hash.',
    }),
    apiKey: t.expose('apiKey', { type: ApiKey, description: 'What is known of it from now on.' }),
  }),
})

builder.mutationField('createApiKey', (t) =>
  t.field({
    type: resultUnion(
      'CreateApiKeyResult',
      'ForbiddenError where an API key asks, for a scope that the viewer has no right to, and for too many keys.',
      CreateApiKeySuccess,
      [InvalidInputError, ForbiddenError, RateLimitedError],
    ),
    description: 'For a person, not for an API key: makes an API key for a program of theirs.',
    args: { input: t.arg({ type: CreateApiKeyInput, required: true, description: 'What it is for.' }) },
    resolve: (_, { input }, ctx) => createApiKey(ctx, input),
  }),
)

const RevokeApiKeyInput = builder.inputType('RevokeApiKeyInput', {
  description: 'Which key to end.',
  fields: (t) => ({ id: t.id({ required: true, description: "One of the viewer's own keys." }) }),
})

const RevokeApiKeySuccess = builder.objectRef<{ apiKey: ApiKeyRow }>('RevokeApiKeySuccess').implement({
  description: 'The key is good for nothing any more.',
  fields: (t) => ({ apiKey: t.expose('apiKey', { type: ApiKey, description: 'The key that was revoked.' }) }),
})

builder.mutationField('revokeApiKey', (t) =>
  t.field({
    type: resultUnion('RevokeApiKeyResult', 'What became of `revokeApiKey`.', RevokeApiKeySuccess, [
      NotFoundError,
      ForbiddenError,
      RateLimitedError,
    ]),
    description:
      'For a person, not for an API key: ends a key, and within a second whatever is open by it. Twice is once.',
    args: { input: t.arg({ type: RevokeApiKeyInput, required: true, description: 'Which key.' }) },
    resolve: (_, { input }, ctx) => revokeApiKey(ctx, input),
  }),
)
