import { defaultTenant } from '../event.ts'

/** On whose behalf a client acts, which everything that it publishes says. */
export interface ClientOrigin {
  readonly tenant: string
  readonly user?: string | undefined
  /** The `source` of its events. */
  readonly source: string
}

export const appOrigin: ClientOrigin = { tenant: defaultTenant, source: '/app' }
