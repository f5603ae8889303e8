import type { Msg, MsgHdrs } from '@nats-io/transport-node'

/** An answer of the server that is an error: of JetStream (`err_code`), or of the protocol (a status). */
export class Refused extends Error {
  readonly code: number

  constructor(code: number, description: string) {
    super(description)
    this.code = code
  }
}

/** The connection was lost, or no answer came in time: the outcome is unknown. */
export class Unanswered extends Error {}

/** Error codes of JetStream that decide something here. Source: nats-server, server/errors.json. */
export const codes = {
  noStream: 10059,
  noConsumer: 10014,
  noMessage: 10037,
  messageTooLarge: 10054,
  nameInUse: 10058,
  subjectsOverlap: 10065,
  notAvailable: 10008,
  wrongLastSequence: [10071, 10164],
  batchHasDuplicate: 10201,
  duplicateInFlight: 10158,
  tooManyResults: 413,
  noResponders: 503,
}

/** Errors that pass without action: lost answers, elections, a server that starts. */
export const isTransient = (error: unknown) =>
  error instanceof Unanswered ||
  (error instanceof Refused &&
    (error.code === codes.noResponders || error.code === codes.notAvailable || error.code === codes.duplicateInFlight))

/** The status of a message without data, 0 for any other. */
export function statusOf(message: Msg): number {
  if (message.data.length > 0) return 0
  return message.headers?.code ?? 0
}

/** The JSON of an answer. @throws Refused */
export function answerOf<T>(message: Msg): T {
  if (message.data.length === 0) throw new Refused(statusOf(message), 'no responders')
  const answer = JSON.parse(message.string()) as T & {
    error?: { err_code?: number; code: number; description: string }
  }
  if (answer.error) throw new Refused(answer.error.err_code ?? answer.error.code, answer.error.description)
  return answer
}

/** Headers as the client wants them, without its costly class. */
export function headersOf(lines: Record<string, string | number>): MsgHdrs {
  let text = 'NATS/1.0\r\n'
  for (const name in lines) text += `${name}: ${lines[name]}\r\n`
  const bytes = Buffer.from(`${text}\r\n`)
  return { encode: () => bytes } as unknown as MsgHdrs
}
