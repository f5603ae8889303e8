import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { makePrivateFolder, privateFile } from '../../bus/private-files.ts'
import { defaultTenant } from '../../event.ts'
import type { Principal } from './principal.ts'

/** In the home of a worker. Only its owner can read it. */
const localKeyFile = 'console.key'

/**
 * Without a policy, this key says that a request comes from the person who started the gateway, and not from another process of the machine:
 * its address is printed with the key, and the file that keeps it over restarts is private.
 */
export class LocalKey {
  readonly text: string
  readonly #digest: Buffer
  readonly #principal: Principal = { tenant: defaultTenant, user: `console/${osUser()}`, may: () => true }

  /** `home`: folder of the worker; without one the key ends with the gateway. */
  constructor(home: string | undefined) {
    this.text = home === undefined ? newKey() : keyIn(home)
    this.#digest = digestOf(this.text)
  }

  /** The person, if the header shows the key. */
  principalOf(authorization: string | undefined): Principal | undefined {
    const shown = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
    return shown !== undefined && timingSafeEqual(digestOf(shown), this.#digest) ? this.#principal : undefined
  }
}

/** The user of the operating system; in a container it may have no name. */
export function osUser(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.())
  }
}

const newKey = () => `tdc_${randomBytes(24).toString('base64url')}`
const digestOf = (text: string) => createHash('sha256').update(text).digest()

/** Two workers that start at once agree on the one that was written first. On a file system that cannot be written it is a new one. */
function keyIn(home: string): string {
  const file = join(home, localKeyFile)
  try {
    makePrivateFolder(home)
    writeFileSync(file, newKey(), { flag: 'wx', mode: privateFile })
  } catch {
    // It exists already, or cannot be written.
  }
  try {
    const text = readFileSync(file, 'utf8')
    if (text.startsWith('tdc_')) return text
  } catch {
    // See above.
  }
  return newKey()
}
