import type { BareSocket, ReceivedFrame } from '../support/clients.ts'

export interface Payload {
  data?: unknown
  errors?: unknown[]
}

interface Fault {
  message: string
  extensions?: unknown
}

/**
 * A payload as text, its keys in their order. Of several errors that null the same parent any may be told, as GraphQL's
 * specification has it, so of what is generated only their kinds are compared; of what is written here all they say.
 */
export function canonical({ data, errors }: Payload, isExact: boolean): string {
  const told = errors?.map((error) =>
    JSON.stringify(isExact ? error : { message: (error as Fault).message, extensions: (error as Fault).extensions }),
  )
  return JSON.stringify({ data, errors: told && [...new Set(told)].sort() })
}

const payloadOf = ({ raw }: ReceivedFrame, isExact: boolean): string =>
  canonical((JSON.parse(raw) as { payload: Payload }).payload, isExact)

/** The payloads of the next frames of a subscription. */
export async function framesOf(socket: BareSocket, id: string, count: number, isExact = false): Promise<string[]> {
  const payloads: string[] = []
  while (payloads.length < count) {
    const frame = await socket.nextOf(id)
    if (frame.type !== 'next') throw new Error(`${id}: ${frame.raw}`)
    payloads.push(payloadOf(frame, isExact))
  }
  return payloads
}
