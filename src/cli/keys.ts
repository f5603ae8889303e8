import type { ApiKey } from '../gateway/identity/api-keys.ts'
import { createKey, listKeys, revokeKey } from '../gateway/identity/api-keys.ts'
import { defaultTenant, isTenant } from '../event.ts'
import { environment } from '../runtime/environment.ts'
import { didYouMean } from '../suggest.ts'
import { duration, milliseconds } from '../tasks/duration.ts'
import { dim } from '../trace/paint.ts'
import { withExistingLog, withLog } from './log.ts'
import { printAll, printResult, usageError, type GlobalOptions } from './output.ts'

export interface CreateKeyOptions extends GlobalOptions {
  role: string[]
  tenant?: string
  expires?: string
}

// No slash: `cli/NAME` is a person who answers with the command line.
const nameForm = /^[\p{L}\p{N}][\p{L}\p{N}._@+-]{0,63}$/u

/** `tidings keys create NAME` */
export async function createKeyCommand(name: string, options: CreateKeyOptions): Promise<void> {
  const { role: roles, tenant = defaultTenant, expires } = options
  if (!nameForm.test(name)) throw usageError(`"${name}" is not a name: use letters, digits and . _ @ + -`)
  if (!isTenant(tenant))
    throw usageError(`--tenant "${String(options.tenant)}" is not a tenant: a lower-case name of at most 63 characters`)
  await assertRoles(roles)
  const { secret, ...key } = await withLog(bus => {
    const expiresAt =
      expires === undefined
        ? undefined
        : new Date(bus.now() + milliseconds(duration(expires, '--expires'))).toISOString()
    return createKey(bus, { name, tenant, roles, ...(expiresAt !== undefined && { expiresAt }) })
  })
  await printResult(options, { ...key, secret }, [
    secret,
    dim(`  key ${lineOf(key)}`),
    dim('  Store it now: it is shown once, and the log has only its digest.'),
  ])
}

/** `tidings keys list` */
export async function listKeysCommand(options: GlobalOptions): Promise<void> {
  await printAll(options, await withExistingLog(listKeys), lineOf, 'no keys')
}

/** `tidings keys revoke ID` */
export async function revokeKeyCommand(id: string, options: GlobalOptions): Promise<void> {
  const key = await withExistingLog(bus => revokeKey(bus, id))
  await printResult(options, { ...key, revoked: true }, [
    `revoked ${lineOf(key)}`,
    dim('  Gateways refuse it within seconds, and end the streams that it opened.'),
  ])
}

/** Where the policy is known here, a misspelt role is refused. @throws E_USAGE, E_SETTING_INVALID */
async function assertRoles(roles: readonly string[]): Promise<void> {
  const { policy } = environment()
  if (policy === undefined) return
  const { PolicyFile } = await import('../gateway/identity/policy.ts')
  const known = Object.keys(new PolicyFile(policy).current.roles)
  const unknown = roles.find(role => !known.includes(role))
  if (unknown !== undefined)
    throw usageError(
      `the policy has no role "${unknown}"${didYouMean(unknown, known) || `; there are: ${known.join(', ')}`}`,
    )
}

const lineOf = ({ id, name, tenant, roles, createdAt, expiresAt }: ApiKey) =>
  `${id}  ${name}  tenant ${tenant}  ${roles.join(', ')}  created ${createdAt}${expiresAt === undefined ? '' : `  expires ${expiresAt}`}`
