import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Bus } from '../../bus/bus.ts'
import { SharedKey } from '../../bus/shared-key.ts'

/*
 * A ticket stands for a credential where a browser cannot send a header: it opens one stream, within 30 seconds.
 *
 *     tidings_ticket_ CLAIMS . MAC         CLAIMS: JSON as base64url, MAC: HMAC-SHA256 over it
 *
 * All gateways of a log share the key of the HMAC. The gateway that creates the document of a ticket accepts it, so it is used once over all
 * gateways.
 */

export const ticketPrefix = 'tidings_ticket_'

const lifetimeMs = 30_000

/** What a ticket carries. */
interface TicketClaims<T> {
  readonly id: string
  /** Ms since the epoch. */
  readonly expires: number
  readonly credential: T
}

/** Issues and redeems tickets. `T`: the credential, as JSON. */
export class Tickets<T> {
  readonly #bus: Bus
  readonly #key: SharedKey

  constructor(bus: Bus) {
    this.#bus = bus
    this.#key = new SharedKey(bus, 'gateway/ticket-key')
  }

  /** @throws E_LOG_UNAVAILABLE */
  async issue(credential: T): Promise<{ readonly ticket: string; readonly expiresAt: string }> {
    const expires = this.#bus.now() + lifetimeMs
    const claims: TicketClaims<T> = { id: randomBytes(12).toString('base64url'), expires, credential }
    const text = Buffer.from(JSON.stringify(claims)).toString('base64url')
    const ticket = `${ticketPrefix}${text}.${await this.#macOf(text)}`
    return { ticket, expiresAt: new Date(expires).toISOString() }
  }

  /** The credential for which a ticket was issued; undefined if it is not valid, has expired or was used. @throws E_LOG_UNAVAILABLE */
  async redeem(ticket: string): Promise<T | undefined> {
    const [text = '', mac = ''] = ticket.slice(ticketPrefix.length).split('.')
    const [right, given] = [Buffer.from(await this.#macOf(text)), Buffer.from(mac)]
    if (right.length !== given.length || !timingSafeEqual(right, given)) return undefined
    const { id, expires, credential } = JSON.parse(Buffer.from(text, 'base64url').toString()) as TicketClaims<T>
    if (expires <= this.#bus.now()) return undefined
    // Another gateway, whose clock is behind, may meet the ticket later.
    const isFirst = await this.#bus.documents.createText(`gateway/tickets/${id}`, '', 2 * lifetimeMs)
    return isFirst ? credential : undefined
  }

  async #macOf(text: string): Promise<string> {
    return createHmac('sha256', await this.#key.get())
      .update(text)
      .digest('base64url')
  }
}
