import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'

/* What the sources that the console shares with the runtime take from `node:crypto`, for browsers: vite replaces the import. */

export const hash = (_algorithm: 'sha256', text: string, _encoding: 'hex'): string =>
  bytesToHex(sha256(utf8ToBytes(text)))

export const randomUUIDv7 = (): string => crypto.randomUUID()
