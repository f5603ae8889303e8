import { hash } from 'node:crypto'

/** A tenant whose name is not plain gets a digest as its folder, so that no two tenants share one. */
export function tenantFolder(tenant: string): string {
  return /^[a-z0-9][a-z0-9_-]{0,63}$/.test(tenant) ? tenant : `~${hash('sha256', tenant, 'hex').slice(0, 40)}`
}
