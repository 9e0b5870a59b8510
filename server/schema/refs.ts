import type { GenerationRow, MessageRow, SessionRow } from '../storage/rows.ts'
import { builder } from './builder.ts'

// Nouns that name each other. Each is implemented in the file of its name.
export const Session = builder.objectRef<SessionRow>('Session')
export const Message = builder.objectRef<MessageRow>('Message')
export const Generation = builder.objectRef<GenerationRow>('Generation')
