import { createHash, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { textOf, TidingsError } from '../errors.ts'
import { httpError } from '../http/response.ts'

// Of one address, in a minute.
const wrongTokens = { points: 10, duration: 60 }
// Without a slash: `cli/NAME` is whoever sits at the machine.
const nameForm = /^[\p{L}\p{N}][\p{L}\p{N}._@+-]{0,63}$/u
const digestForm = /^[0-9a-f]{64}$/
const bearer = /^Bearer ([\x21-\x7e]{1,1024})$/i

/** Those who may answer approvals over HTTP. Of their tokens only digests are known. */
export class Approvers {
  readonly #known: readonly { name: string; digest: Buffer }[]
  readonly #wrong = new RateLimiterMemory(wrongTokens)

  /** `file`: JSON, `{ "ann": "SHA-256 of her token in hex" }`; none: nobody. @throws E_SETTING_INVALID */
  constructor(file: string | undefined) {
    this.#known = file === undefined ? [] : approversIn(file)
  }

  /**
   * Whose credential this is. @param authorization the header @param address from where it came
   * @throws 401, 403, 429 E_CREDENTIAL_UNKNOWN
   */
  async identify(authorization: string | undefined, address: string): Promise<string> {
    if (this.#known.length === 0)
      throw refused(403, 'nobody may answer over HTTP: TIDINGS_APPROVERS names no file of those who may')
    const token = bearer.exec(authorization ?? '')?.[1]
    if (token === undefined) throw refused(401, 'the request has no header Authorization: Bearer TOKEN')
    const name = this.#nameOf(token)
    const { consumedPoints = 0 } = (await this.#wrong.get(address)) ?? {}
    if (consumedPoints >= wrongTokens.points) throw tooMany()
    if (name !== undefined) return name
    await this.#wrong.consume(address).catch((error: unknown) => {
      throw error instanceof RateLimiterRes ? tooMany() : error
    })
    throw refused(401, 'nobody has this token')
  }

  /** Takes as long whoever it is. */
  #nameOf(token: string): string | undefined {
    const digest = createHash('sha256').update(token).digest()
    let found: string | undefined
    for (const { name, digest: known } of this.#known) if (timingSafeEqual(known, digest)) found = name
    return found
  }
}

const refused = (status: 401 | 403 | 429, text: string) => httpError(status, text, 'E_CREDENTIAL_UNKNOWN')
const tooMany = () => refused(429, `more than ${wrongTokens.points} wrong tokens came from this address in a minute`)

function approversIn(file: string) {
  const invalid = (problem: string) => new TidingsError('E_SETTING_INVALID', `TIDINGS_APPROVERS=${file} ${problem}`)
  let read: unknown
  try {
    read = JSON.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw new TidingsError('E_SETTING_INVALID', `TIDINGS_APPROVERS=${file} cannot be read: ${textOf(cause)}`, { cause })
  }
  if (typeof read !== 'object' || read === null || Array.isArray(read) || Object.keys(read).length === 0)
    throw invalid('must hold { "NAME": "SHA-256 of the token, in hex" }')
  const digests = new Set<unknown>()
  return Object.entries(read).map(([name, digest]) => {
    if (!nameForm.test(name)) throw invalid(`has "${name}", which is no name: letters, digits and . _ @ + -`)
    if (typeof digest !== 'string' || !digestForm.test(digest))
      throw invalid(`has no SHA-256 in lower-case hex for ${name}`)
    if (digests.size === digests.add(digest).size) throw invalid(`gives ${name} the token of somebody else`)
    return { name, digest: Buffer.from(digest, 'hex') }
  })
}
