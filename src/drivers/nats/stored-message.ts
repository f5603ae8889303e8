import type { Msg } from '@nats-io/transport-node'

/** A message of a stream. */
export interface StoredMessage {
  readonly seq: number
  readonly subject: string
  /** Milliseconds since the epoch at which the server stored it. */
  readonly at: number
  readonly header: (name: string) => string
  readonly text: () => string
  readonly bytes: () => Uint8Array
}

export function fromDirectGet(message: Msg): StoredMessage {
  const headers = message.headers!
  return {
    seq: Number(headers.get('Nats-Sequence')),
    subject: headers.get('Nats-Subject'),
    at: Date.parse(headers.get('Nats-Time-Stamp')),
    header: name => headers.get(name),
    text: () => message.string(),
    bytes: () => message.data,
  }
}

/** The answer of a stream's leader. */
export interface LeaderMessage {
  subject: string
  seq: number
  time: string
  data?: string
  hdrs?: string
}

export function fromLeader({ subject, seq, time, data = '', hdrs = '' }: LeaderMessage): StoredMessage {
  const lines = Buffer.from(hdrs, 'base64').toString().split('\r\n')
  return {
    seq,
    subject,
    at: Date.parse(time),
    header: name =>
      lines
        .find(line => line.startsWith(`${name}:`))
        ?.slice(name.length + 1)
        .trim() ?? '',
    text: () => Buffer.from(data, 'base64').toString(),
    bytes: () => Buffer.from(data, 'base64'),
  }
}
