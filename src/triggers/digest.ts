import { hash } from 'node:crypto'

/** SHA-256 in hex. Each part is followed by a NUL byte, so that other parts have another digest. */
export const digestOf = (...parts: (string | Uint8Array)[]) =>
  hash('sha256', Buffer.concat(parts.flatMap(part => [Buffer.from(part), Buffer.of(0)])), 'hex')
