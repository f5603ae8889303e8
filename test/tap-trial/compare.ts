import type { Received } from './caller.ts'
import type { Exchange, SeenRequest } from './exchange.ts'

/**
 * Headers of one connection, which every proxy has to make anew (RFC 9110, section 7.6.1), with those that `Connection` names. `Host` is
 * that of the server, on both ways. All others must be the same, with their case, order and repetitions.
 */
const ofConnection = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'te', 'upgrade'])

export interface Side {
  readonly exchange: Exchange
  readonly received: Received
  /** Of the server. */
  readonly host: string
}

/** What differs between a call that was made directly and the same call through the tap; empty if nothing does. */
export function differences(direct: Side, tapped: Side): string[] {
  const found: string[] = []
  const check: Check = (what, one, other) => {
    const [left, right] = [JSON.stringify(one), JSON.stringify(other)]
    if (left !== right) found.push(`${what}: ${short(right)} in place of ${short(left)}`)
  }
  const [a, b] = [direct.received, tapped.received]
  check('status', a.status, b.status)
  check('reason', a.reason, b.reason)
  check('interim responses', a.interim, b.interim)
  check('headers of the response', endToEnd(a.headers), endToEnd(b.headers))
  check('trailers', a.trailers, b.trailers)
  check('end of the response', a.end, b.end)
  compareBytes(found, 'body of the response', a.body, b.body)
  for (const lack of tapped.exchange.heldBack) found.push(`held back: ${lack}`)
  const [sent, forwarded] = [direct.exchange.seen, tapped.exchange.seen]
  check('number of requests at the server', sent.length, forwarded.length)
  // A server that breaks off itself may see either.
  if (direct.exchange.call.reply.end === 'open')
    check('whether the server saw that the client left', sent[0]?.wasLeft, forwarded[0]?.wasLeft)
  if (sent[0] && forwarded[0]) compareRequests(found, check, [sent[0], direct.host], [forwarded[0], tapped.host])
  return found
}

type Seen = readonly [request: SeenRequest, host: string]
type Check = (what: string, one: unknown, other: unknown) => void

function compareRequests(found: string[], check: Check, [a, ownHost]: Seen, [b, host]: Seen): void {
  check('method', a.method, b.method)
  check('path', a.path, b.path)
  check('headers of the request', endToEnd(a.headers, ownHost), endToEnd(b.headers, host))
  check('trailers of the request', a.trailers, b.trailers)
  check('whether the request is whole', a.isWhole, b.isWhole)
  compareBytes(found, 'body of the request', a.body, b.body)
}

function endToEnd(raw: readonly string[], host?: string): string[] {
  const pairs = Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i]!, raw[2 * i + 1]!] as const)
  const named = pairs
    .filter(([name]) => name.toLowerCase() === 'connection')
    .flatMap(([, value]) => value.toLowerCase().split(/\s*,\s*/))
  const dropped = new Set([...ofConnection, ...named])
  return pairs
    .filter(([name]) => !dropped.has(name.toLowerCase()))
    .map(([name, value]) => `${name}: ${name.toLowerCase() === 'host' && value === host ? 'the server' : value}`)
}

function compareBytes(found: string[], what: string, a: Buffer, b: Buffer): void {
  if (a.equals(b)) return
  const length = Math.min(a.length, b.length)
  let at = 0
  while (at < length && a[at] === b[at]) at++
  found.push(`${what}: ${b.length} bytes in place of ${a.length}, different from byte ${at} on`)
}

const short = (text = 'nothing') => (text.length > 700 ? `${text.slice(0, 700)}…` : text)

export const describeCall = ({ n, kind, request }: Exchange['call']) =>
  `call ${n} (${kind}, ${request.method} ${request.path})`
