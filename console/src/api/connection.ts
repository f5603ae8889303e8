import { GatewayConnection } from '../../../src/client/connection.ts'
import { ClientError } from '../../../src/client/errors.ts'
import type { ErrorData } from '../../../src/errors.ts'
import { notedFetch } from './reachability.ts'

/* The gateway that served this page. `<base>` is the folder of the console, and the gateway is the folder above it. */

const credentialKey = 'tidings.credential'

/** Where the gateway is. */
export const gatewayUrl = new URL('..', document.baseURI)
/** Path of the console on its server. */
export const consolePath = new URL('.', document.baseURI).pathname

// A worker without a policy prints the address of the console with the key of the person who started it. It leaves the address at once.
const keyInAddress = /^#key=([\w-]+)$/.exec(location.hash)?.[1]
if (keyInAddress !== undefined) {
  localStorage.setItem(credentialKey, keyInAddress)
  history.replaceState(history.state, '', location.pathname + location.search)
}

/** The API key or token of a person who signed in, of this tab only, else the key that was in the address. */
export const credential = {
  get: (): string | undefined =>
    sessionStorage.getItem(credentialKey) ?? localStorage.getItem(credentialKey) ?? undefined,
  set(value: string | undefined) {
    if (value === undefined) sessionStorage.removeItem(credentialKey)
    else sessionStorage.setItem(credentialKey, value)
  },
}

export const gateway = new GatewayConnection({ url: gatewayUrl, fetch: notedFetch, token: credential.get })

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>

/** A path with its query; what is undefined, false or empty is left out. */
export function pathWith(path: string, query: Query = {}): string {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(query))
    for (const each of [value].flat())
      if (each !== undefined && each !== false && each !== '') params.append(name, each === true ? '1' : String(each))
  const text = params.toString()
  return text === '' ? path : `${path}?${text}`
}

/** @throws ClientError */
export async function get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
  const response = await gateway.send(pathWith(path, query), { signal, retryForMs: 3_000 })
  return (await response.json()) as T
}

/** Sends a command. One that may be repeated needs a key. @throws ClientError */
export async function post<T>(path: string, body: unknown, headers: Record<string, string> = {}): Promise<T> {
  const response = await gateway.send(path, { method: 'POST', body, headers })
  return (await response.json()) as T
}

/** @throws ClientError */
export async function remove(path: string, body?: unknown): Promise<void> {
  await gateway.send(path, { method: 'DELETE', ...(body !== undefined && { body }) })
}

/** What any thrown value says to a person. */
export function problemOf(error: unknown): Pick<ErrorData, 'code' | 'message'> & { next?: string | undefined } {
  if (error instanceof ClientError) return { code: error.code, message: error.message, next: error.next }
  return { code: 'E_CONSOLE', message: error instanceof Error ? error.message : String(error) }
}
