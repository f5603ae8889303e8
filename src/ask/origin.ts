import { defaultTenant } from '../event.ts'
import type { UiTool } from '../tasks/ui-tools.ts'

/** On whose behalf a client acts, which everything that it publishes says. */
export interface ClientOrigin {
  readonly tenant: string
  readonly user?: string | undefined
  /** The `source` of its events. */
  readonly source: string
  /** Tools of its user interface, which answers their calls: models may call them besides those of their agents. */
  readonly tools?: readonly UiTool[]
  /**
   * For a message of a user interface: the newest task of this message so far, which the request replaces, null if there is none. The same
   * message posted several times at once replaces the same task, and is one request.
   */
  readonly replaces?: string | null
  /** For one request whose ids are known before it is made, so that it can be repeated, or compared with another one. */
  readonly request?: {
    readonly id: string
    readonly correlationid: string
    /** What it is part of: the `replay` of everything that follows from it. */
    readonly replay?: string
  }
}

export const appOrigin: ClientOrigin = { tenant: defaultTenant, source: '/app' }
