import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'

/* What the sources that the console shares with the runtime take from `node:crypto`, for browsers: vite replaces the import. */

const bytesOf = (data: string | Uint8Array) => (typeof data === 'string' ? utf8ToBytes(data) : data)

export const hash = (_algorithm: 'sha256', text: string, _encoding: 'hex'): string =>
  bytesToHex(sha256(utf8ToBytes(text)))

export function createHash(_algorithm: 'sha256') {
  const digest = sha256.create()
  return {
    update(data: string | Uint8Array) {
      digest.update(bytesOf(data))
      return this
    },
    digest: (_encoding: 'hex'): string => bytesToHex(digest.digest()),
  }
}

export const randomUUIDv7 = (): string => crypto.randomUUID()
