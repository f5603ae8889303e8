import { hash, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { RateLimiterMemory } from 'rate-limiter-flexible'
import { textOf, TidingsError } from '../../errors.ts'
import { httpError } from '../../http/response.ts'

// Per address and minute.
const wrongTokenLimit = { points: 10, duration: 60 }
// No slash: `cli/NAME` is a person who answers with the CLI.
const nameForm = /^[\p{L}\p{N}][\p{L}\p{N}._@+-]{0,63}$/u
const digestForm = /^[0-9a-f]{64}$/
const bearer = /^Bearer ([\x21-\x7e]{1,1024})$/i

/** The people who may answer approvals over HTTP. The file holds only digests of their tokens. */
export class Approvers {
  readonly #approvers: readonly { name: string; digest: Buffer }[]
  #wrongTokens: Promise<RateLimiterMemory> | undefined

  /** `file`: JSON, `{ "ann": "SHA-256 of the token in hex" }`. Without it no one can answer. @throws E_SETTING_INVALID */
  constructor(file: string | undefined) {
    this.#approvers = file === undefined ? [] : readApprovers(file)
  }

  /**
   * The name of the approver with this token. `authorization`: the header. `address`: of the client, for the rate limit.
   * @throws 401, 403, 429 E_CREDENTIAL_UNKNOWN
   */
  async identify(authorization: string | undefined, address: string): Promise<string> {
    if (this.#approvers.length === 0)
      throw credentialError(
        403,
        'approvals cannot be answered over HTTP here; set TIDINGS_APPROVERS to the file of approvers, or use tidings approve',
      )
    const token = bearer.exec(authorization ?? '')?.[1]
    if (token === undefined)
      throw credentialError(401, 'the request has no token; send the header Authorization: Bearer TOKEN')
    const name = this.#nameOf(token)
    this.#wrongTokens ??= import('rate-limiter-flexible').then(
      ({ RateLimiterMemory: Limiter }) => new Limiter(wrongTokenLimit),
    )
    const wrongTokens = await this.#wrongTokens
    const { consumedPoints = 0 } = (await wrongTokens.get(address)) ?? {}
    if (consumedPoints >= wrongTokenLimit.points) throw tooManyWrongTokens()
    if (name !== undefined) return name
    await wrongTokens.consume(address).catch((error: unknown) => {
      throw error instanceof Error ? error : tooManyWrongTokens()
    })
    throw credentialError(401, 'the token is unknown; TIDINGS_APPROVERS names the file of those that are accepted')
  }

  /** Compares with every digest, so that the time does not depend on the name. */
  #nameOf(token: string): string | undefined {
    const digest = hash('sha256', token, 'buffer')
    let found: string | undefined
    for (const { name, digest: expected } of this.#approvers) if (timingSafeEqual(expected, digest)) found = name
    return found
  }
}

const credentialError = (status: 401 | 403 | 429, text: string) =>
  httpError(status, text, { code: 'E_CREDENTIAL_UNKNOWN' })
const tooManyWrongTokens = () =>
  credentialError(429, `this address sent more than ${wrongTokenLimit.points} wrong tokens in a minute; wait a minute`)

function readApprovers(file: string) {
  const invalid = (problem: string, cause?: unknown) =>
    new TidingsError('E_SETTING_INVALID', `TIDINGS_APPROVERS=${file} ${problem}`, { cause })
  let parsed: unknown
  try {
    parsed = JSON.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw invalid(`cannot be parsed: ${textOf(cause)}`, cause)
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed) || Object.keys(parsed).length === 0)
    throw invalid('must contain { "NAME": "SHA-256 of the token, in hex" }')
  const digests = new Set<unknown>()
  return Object.entries(parsed).map(([name, digest]) => {
    if (!nameForm.test(name)) throw invalid(`has the invalid name "${name}"; use letters, digits and . _ @ + -`)
    if (typeof digest !== 'string' || !digestForm.test(digest))
      throw invalid(`has no SHA-256 in lower-case hex for "${name}"`)
    if (digests.size === digests.add(digest).size) throw invalid(`gives "${name}" the same token as another approver`)
    return { name, digest: Buffer.from(digest, 'hex') }
  })
}
