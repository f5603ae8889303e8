import { httpError } from '../http/response.ts'

const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/

export interface OriginPolicy {
  /** Names and addresses under which the gateway may be asked for, beside loopback. */
  hosts: ReadonlySet<string>
  /** Origins of web pages that may publish, beside the gateway's own pages. */
  origins: ReadonlySet<string>
}

/**
 * A web page that the user happens to look at must not reach the gateway: neither under a name of its own that it
 * points at this machine (DNS rebinding), nor by a form or fetch of another origin. Whoever is no browser sends no
 * Origin, and is not concerned.
 * @throws 403 E_REQUEST_INVALID
 */
export function assertAllowed(
  { hosts, origins }: OriginPolicy,
  host: string | undefined,
  origin: string | undefined,
): void {
  const name = (host ?? '').replace(/:\d*$/, '').toLowerCase()
  if (!loopback.test(name) && !hosts.has(name))
    throw httpError(403, `the gateway does not answer for the host ${JSON.stringify(name.slice(0, 80))}`)
  if (origin !== undefined && origin !== `http://${host}` && !origins.has(origin))
    throw httpError(403, `pages of ${JSON.stringify(origin.slice(0, 80))} may not use this gateway`)
}
