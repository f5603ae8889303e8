import { inject } from 'vitest'
import { describeUnless } from './needing.ts'

/*
 * How a test file comes to NATS: nats-setup.ts has started one server for the whole run, or says why there is none.
 */

declare module 'vitest' {
  export interface ProvidedContext {
    nats: Record<'url' | 'noServer' | 'noBinary', string | undefined>
  }
}

/** The server that all test files share: name what you make on it so that nobody else does. */
export function natsUrl(): string {
  const { url, noServer } = inject('nats')
  if (url === undefined) throw new Error(`there is no NATS server: ${noServer}`)
  return url
}

/** Tests on `natsUrl()`. Without a server they are skipped, or fail where brokers are required. */
export const describeNats = (name: string, body: () => void) => describeUnless(inject('nats').noServer, name, body)

/** Tests that start servers of their own, with `startNats()`. */
export const describeNatsServer = (name: string, body: () => void) =>
  describeUnless(inject('nats').noBinary, name, body)
