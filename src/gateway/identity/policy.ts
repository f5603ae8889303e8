import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { log } from '../../bus/telemetry/log.ts'
import { textOf, TidingsError } from '../../errors.ts'
import { isTenant } from '../../event.ts'
import { isLoopback } from '../../http/listen.ts'
import { isTypePattern, matchesType } from '../../pattern.ts'
import { parsedBy } from '../../schema.ts'
import type { Action } from './principal.ts'

const roleForm = /^[a-z0-9][a-z0-9._-]{0,63}$/

const patterns = z
  .array(z.string().refine(isTypePattern, 'must be a type or a pattern, such as order.paid, order.* or >'))
  .default([])
const tenant = z.string().refine(isTenant, 'must be a tenant: a lower-case name of at most 63 characters')
const claim = z.string().min(1)
const origin = z.string().refine(isOrigin, 'must be an origin, such as https://shop.example')

const role = z.strictObject({
  publish: patterns,
  read: patterns,
  approve: patterns,
  operate: z.boolean().default(false),
  tenants: z.array(tenant).min(1).optional(),
})

const policyForm = z.strictObject({
  roles: z.record(z.string().regex(roleForm, 'must be a role: a lower-case name of at most 64 characters'), role),
  jwt: z
    .strictObject({
      issuer: z.string().min(1),
      audience: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]),
      jwks: z.string().refine(isKeyAddress, 'must be an address with https:, or with http: on loopback'),
      claims: z
        .strictObject({ tenant: claim.optional(), user: claim.default('sub'), roles: claim.default('roles') })
        .prefault({}),
      clockSkewSeconds: z.number().int().min(0).max(300).default(30),
    })
    .optional(),
  cookie: z
    .string()
    .regex(/^[\w-]{1,64}$/, 'must be the name of a cookie')
    .optional(),
  origins: z.array(origin).default([]),
  limits: z
    .strictObject({
      requestsPerMinute: z.number().int().min(1).default(6_000),
      bytesPerMinute: z
        .number()
        .int()
        .min(1)
        .default(256 * 1024 * 1024),
    })
    .prefault({}),
})

/** What a policy file says, with its defaults filled in. */
export type Policy = z.output<typeof policyForm>
export type JwtPolicy = NonNullable<Policy['jwt']>

/** Whether one of these roles permits it, for a credential of this tenant. Roles that the policy does not have permit nothing. */
export function permits(
  policy: Policy,
  { roles, tenant }: { readonly roles: readonly string[]; readonly tenant: string },
  action: Action,
  type?: string,
): boolean {
  return roles.some(name => {
    const role = Object.hasOwn(policy.roles, name) ? policy.roles[name]! : undefined
    if (!role || role.tenants?.includes(tenant) === false) return false
    if (action === 'operate') return role.operate
    return type === undefined ? role[action].length > 0 : role[action].some(pattern => matchesType(pattern, type))
  })
}

/** The policy file, which may change while the gateway runs. */
export class PolicyFile {
  readonly #file: string
  #text: string
  #policy: Policy

  /** @throws E_SETTING_INVALID with the path of the first fault */
  constructor(file: string) {
    this.#file = file
    this.#text = textIn(file)
    this.#policy = parsePolicy(file, this.#text)
  }

  get current(): Policy {
    return this.#policy
  }

  /** Reads the file again. While it cannot be read or is not valid, the policy before applies. Never throws. */
  async refresh(): Promise<void> {
    try {
      const text = await readFile(this.#file, 'utf8')
      if (text === this.#text) return
      this.#text = text
      this.#policy = parsePolicy(this.#file, text)
      log.info?.({ file: this.#file }, 'the policy was read again')
    } catch (error) {
      log.error?.({ file: this.#file }, `the policy before still applies: ${textOf(error)}`)
    }
  }
}

function textIn(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw invalid(file, `cannot be read: ${textOf(cause)}`, cause)
  }
}

function parsePolicy(file: string, text: string): Policy {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    throw invalid(file, `is not JSON: ${textOf(cause)}`, cause)
  }
  return parsedBy(policyForm, parsed, {
    code: 'E_SETTING_INVALID',
    what: `TIDINGS_POLICY=${file} is not valid`,
    next: 'Correct the file; docs/identity.md describes it.',
  })
}

const invalid = (file: string, problem: string, cause: unknown) =>
  new TidingsError('E_SETTING_INVALID', `TIDINGS_POLICY=${file} ${problem}`, { cause })

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text
}

function isKeyAddress(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname.replace(/^\[(.*)\]$/, '$1')))
}
