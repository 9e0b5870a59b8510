import type { GenerationSettings as Settings } from '../entities/session.ts'
import { builder } from './builder.ts'

export const GenerationSettings = builder.objectRef<Settings>('GenerationSettings').implement({
  description: 'How the model is asked.',
  fields: (t) => ({
    systemPrompt: t.exposeString('systemPrompt', {
      nullable: true,
      description: 'What the model is told before the conversation; null for nothing.',
    }),
    temperature: t.exposeFloat('temperature', {
      nullable: true,
      description: "How freely it picks its words, from 0 to 2; null for the provider's default.",
    }),
    topP: t.exposeFloat('topP', {
      nullable: true,
      description:
        "Share of the likeliest words that it picks from, above 0 and up to 1; null for the provider's default.",
    }),
    maxTokens: t.exposeInt('maxTokens', {
      nullable: true,
      description: "Tokens that an answer may have; null for the provider's default.",
    }),
    tools: t.exposeStringList('tools', { description: 'Names of tools that the model may call.' }),
  }),
})

export const GenerationSettingsInput = builder.inputType('GenerationSettingsInput', {
  description:
    'How the model is to be asked. What is left out stays as it is, or as the session has it; null clears it.',
  fields: (t) => ({
    systemPrompt: t.string({ description: 'Told to the model before the conversation: at most 32,000 characters.' }),
    temperature: t.float({ description: 'From 0 to 2.' }),
    topP: t.float({ description: 'Above 0 and up to 1.' }),
    maxTokens: t.int({ description: 'Tokens that an answer may have: 1 to 1,000,000.' }),
    tools: t.stringList({
      description: 'Names of tools that the model may call: at most 64, each of at most 64 characters.',
    }),
  }),
})
