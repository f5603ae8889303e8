import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bus } from '../../src/bus/bus.ts'
import { createKey } from '../../src/gateway/identity/api-keys.ts'

/** A policy file with this content. */
export async function policyFile(policy: unknown): Promise<string> {
  const file = join(await mkdtemp(join(tmpdir(), 'tidings-policy-')), 'policy.json')
  await writeFile(file, typeof policy === 'string' ? policy : JSON.stringify(policy))
  return file
}

/** A role that may do everything. */
export const everything = { publish: ['>'], read: ['>'], approve: ['>'], operate: true }

/** The text of a new API key. */
export const keyFor = async (bus: Bus, name: string, role = 'all', tenant = 'default'): Promise<string> =>
  (await createKey(bus, { name, tenant, roles: [role] })).secret

/** The header with an API key or a token. */
export const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` })
