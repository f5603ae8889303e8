import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { Bus } from '../../bus/bus.ts'
import { TidingsError } from '../../errors.ts'

/*
 * An API key is a text that a client shows once per request:
 *
 *     tidings_ ID _ SECRET CHECKSUM       ID: 10, SECRET: 43, CHECKSUM: 6 of A-Z a-z 0-9 (ID in lower case)
 *
 * The log has the SHA-256 of the text, by its id, in one document that only agents and operators may write. The secret has 256 random bits,
 * so a plain digest is enough. The checksum tells a mistyped key from an unknown one without a look at the log.
 */

const documentKey = 'keys'
const maxKeys = 1_000
const keyForm = /^tidings_([0-9a-z]{10})_[0-9A-Za-z]{43}([0-9A-Za-z]{6})$/

/** An API key as the log has it: without its secret. */
export interface ApiKey {
  readonly id: string
  /** Of the person or service: the `user` of what they publish. */
  readonly name: string
  readonly tenant: string
  readonly roles: readonly string[]
  /** RFC 3339, in UTC. */
  readonly createdAt: string
  readonly expiresAt?: string
}

type StoredKey = Omit<ApiKey, 'id'> & { readonly digest: string }
type StoredKeys = Readonly<Record<string, StoredKey>>

/** Creates a key. `secret` is the text that the client shows; it is stored nowhere. @throws E_REQUEST_INVALID, E_LOG_UNAVAILABLE */
export async function createKey(bus: Bus, key: Omit<ApiKey, 'id' | 'createdAt'>): Promise<ApiKey & { secret: string }> {
  const id = base62(randomBytes(8), 11).toLowerCase().slice(-10)
  const secret = keyText(id, base62(randomBytes(32), 43))
  const stored = { ...key, createdAt: new Date(bus.now()).toISOString() }
  const add = (keys: StoredKeys = {}): StoredKeys => {
    if (Object.keys(keys).length >= maxKeys)
      throw new TidingsError('E_REQUEST_INVALID', `the log has ${maxKeys} keys, the maximum`, {
        next: 'Revoke keys that are not used any more: `tidings keys list`. For many people use tokens (JWT) of your identity provider.',
      })
    return { ...keys, [id]: { ...stored, digest: digestOf(secret) } }
  }
  await bus.documents.update<StoredKeys>(documentKey, add, { namesOnly: true })
  return { id, ...stored, secret }
}

/** Removes a key, which every gateway refuses within seconds. @throws E_NOT_FOUND, E_LOG_UNAVAILABLE */
export async function revokeKey(bus: Bus, id: string): Promise<ApiKey> {
  let revoked: StoredKey | undefined
  await bus.documents.update<StoredKeys>(documentKey, (keys = {}) => {
    revoked = keys[id]
    const { [id]: _, ...others } = keys
    return revoked && others
  }, { namesOnly: true }) // biome-ignore format: one call
  if (!revoked)
    throw new TidingsError('E_NOT_FOUND', `there is no key with the id "${id.slice(0, 80)}"`, {
      next: '`tidings keys list` shows the ids of all keys.',
    })
  return withoutDigest(id, revoked)
}

/** All keys, oldest first. @throws E_LOG_UNAVAILABLE */
export async function listKeys(bus: Bus): Promise<ApiKey[]> {
  const keys = Object.entries((await bus.documents.read<StoredKeys>(documentKey)) ?? {})
  return keys.map(([id, key]) => withoutDigest(id, key)).sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1))
}

/** The text of a key. `secret`: 43 of A-Z a-z 0-9. */
export function keyText(id: string, secret: string): string {
  const body = `tidings_${id}_${secret}`
  return body + checksum(body)
}

/** The id in the text of a key; undefined if the text cannot be a key. */
function keyIdIn(secret: string): string | undefined {
  const [, id, sum] = keyForm.exec(secret) ?? []
  return sum !== undefined && checksum(secret.slice(0, -6)) === sum ? id : undefined
}

export const hasKeyPrefix = (text: string) => text.startsWith('tidings_')

/** Longer than that without a look at the log, and keys are not believed any more. */
const maxAgeMs = 10_000

/** The keys of a log as a gateway knows them, at most seconds old. */
export class KeyTable {
  readonly #bus: Bus
  #keys: StoredKeys = {}
  /** On the monotonic clock. */
  #readAt = -Infinity
  #reading: Promise<void> | undefined

  constructor(bus: Bus) {
    this.#bus = bus
  }

  /** Reads the keys. Callers at the same time share one read. @throws E_LOG_UNAVAILABLE */
  refresh(): Promise<void> {
    this.#reading ??= this.#read().finally(() => (this.#reading = undefined))
    return this.#reading
  }

  /** The key with this text. `mayRead`: an id that is unknown so far is looked up on the log. @throws E_LOG_UNAVAILABLE */
  async find(secret: string, mayRead: boolean): Promise<ApiKey | undefined> {
    const id = keyIdIn(secret)
    if (id === undefined) return undefined
    if (this.#isOld(maxAgeMs) || (mayRead && !Object.hasOwn(this.#keys, id))) await this.refresh()
    const key = Object.hasOwn(this.#keys, id) ? this.#keys[id] : undefined
    const isRight = timingSafeEqual(Buffer.from(digestOf(secret)), Buffer.from(key?.digest ?? digestOf('')))
    return key && isRight && !isExpired(key, this.#bus.now()) ? withoutDigest(id, key) : undefined
  }

  /** The key with this id, as the log has it now; undefined if it was revoked or has expired. @throws E_LOG_UNAVAILABLE */
  async byId(id: string): Promise<ApiKey | undefined> {
    await this.refresh()
    const key = Object.hasOwn(this.#keys, id) ? this.#keys[id] : undefined
    return key && !isExpired(key, this.#bus.now()) ? withoutDigest(id, key) : undefined
  }

  /** Whether a key that another gateway may have found is still valid. @throws E_LOG_UNAVAILABLE */
  async isValid(key: ApiKey): Promise<boolean> {
    if (this.hasEnded(key)) await this.refresh()
    return !this.hasEnded(key)
  }

  /** Whether a key that was found before was revoked or has expired, or cannot be checked any more. */
  hasEnded({ id, createdAt }: ApiKey): boolean {
    const key = Object.hasOwn(this.#keys, id) ? this.#keys[id] : undefined
    return key?.createdAt !== createdAt || isExpired(key, this.#bus.now()) || this.#isOld(6 * maxAgeMs)
  }

  async #read(): Promise<void> {
    const startedAt = performance.now()
    this.#keys = (await this.#bus.documents.read<StoredKeys>(documentKey)) ?? {}
    this.#readAt = startedAt
  }

  #isOld(ms: number): boolean {
    return performance.now() - this.#readAt > ms
  }
}

const isExpired = ({ expiresAt }: StoredKey, now: number) => expiresAt !== undefined && Date.parse(expiresAt) <= now

function withoutDigest(id: string, stored: StoredKey): ApiKey {
  const { digest: _, ...key } = stored
  return { id, ...key }
}

const digestOf = (secret: string) => hash('sha256', secret, 'hex')

const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

function base62(bytes: Uint8Array, length: number): string {
  let number = BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
  let text = ''
  for (; number > 0n; number /= 62n) text = digits[Number(number % 62n)] + text
  return text.padStart(length, '0')
}

function checksum(text: string): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(crc32(text))
  return base62(bytes, 6)
}
