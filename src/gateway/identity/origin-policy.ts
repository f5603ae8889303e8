import { httpError } from '../../http/response.ts'

const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/

export interface OriginPolicy {
  /** Accepted values of the Host header besides loopback; undefined if the server that the gateway is mounted in decides. */
  hosts?: ReadonlySet<string>
  /** Web origins that may use the gateway besides its own. */
  origins: ReadonlySet<string>
}

/**
 * A web page that the user has open must not reach the gateway: neither under its own name, resolved to this machine (DNS
 * rebinding), nor with a form or fetch from another origin. Non-browser clients send no Origin header and are unaffected.
 * @throws 403 E_REQUEST_INVALID
 */
export function assertAllowed(
  { hosts, origins }: OriginPolicy,
  host: string | undefined,
  origin: string | undefined,
): void {
  const name = (host ?? '').replace(/:\d*$/, '').toLowerCase()
  if (hosts && !loopback.test(name) && !hosts.has(name)) {
    const rejected = `the gateway does not accept the host ${JSON.stringify(name.slice(0, 80))}`
    throw httpError(403, `${rejected}; use localhost, or add it to the allowed hosts`)
  }
  if (origin !== undefined && hostOf(origin) !== host && !origins.has(origin)) {
    const rejected = `the origin ${JSON.stringify(origin.slice(0, 80))} may not use this gateway`
    throw httpError(403, `${rejected}; add it to the allowed origins`)
  }
}

const hostOf = (origin: string) => (URL.canParse(origin) ? new URL(origin).host : undefined)
