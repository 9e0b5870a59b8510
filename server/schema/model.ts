import type { ModelEntry, ProviderEntry } from '../providers/registry.ts'
import { models, modelsOf, providers } from '../resolvers/models.ts'
import { builder } from './builder.ts'
import { describedEnum } from './describedEnum.ts'

const ProviderStatus = describedEnum('ProviderStatus', 'How a provider does.', {
  UP: 'It answered when it was last asked.',
  DEGRADED: 'It answers, but some calls failed of late.',
  DOWN: "It can't be reached.",
  UNKNOWN: 'It was not asked yet, or is no longer configured.',
})

export const Model = builder.objectRef<ModelEntry>('Model')

const Provider = builder.objectRef<ProviderEntry>('Provider').implement({
  description: 'A server that runs models.',
  fields: (t) => ({
    name: t.exposeString('name', { description: '`local`, `openrouter`, `demo` or a configured name.' }),
    status: t.expose('status', { type: ProviderStatus, description: 'How it does.' }),
    models: t.field({
      type: [Model],
      description: 'The models it offers; none while it is down.',
      resolve: (of, _args, ctx) => modelsOf(ctx, of),
    }),
  }),
})

Model.implement({
  description: 'A language model of one provider.',
  fields: (t) => ({
    id: t.exposeID('id', { description: '`provider/model`, e.g. `local/llama3.2:3b`.' }),
    name: t.exposeString('name', { description: "The provider's own name of it." }),
    provider: t.field({
      type: Provider,
      description: 'Who runs it.',
      resolve: ({ provider }, _args, ctx) => ctx.providers.provider(provider),
    }),
    contextWindow: t.exposeInt('contextWindow', {
      nullable: true,
      description: 'Tokens that it reads at once, question and answer together; null where unknown.',
    }),
  }),
})

builder.queryField('models', (t) =>
  t.field({
    type: [Model],
    description: 'All models that can be asked now.',
    resolve: (_source, _args, ctx) => models(ctx),
  }),
)

builder.queryField('providers', (t) =>
  t.field({
    type: [Provider],
    description: 'All configured providers, whether they answer or not.',
    resolve: (_source, _args, ctx) => providers(ctx),
  }),
)
