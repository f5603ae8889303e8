import { onTestFinished } from 'vitest'
import { serveRaw, type RawServer, type RawServerOptions } from './raw-http.ts'

export { listed, rpcError, textResult, type Answer, type Era } from './raw-http.ts'

/** A server by hand, until the test ends, or until what else is given. */
export async function rawServer(
  options: RawServerOptions,
  until: (close: () => Promise<void>) => void = onTestFinished,
): Promise<RawServer> {
  const server = await serveRaw(options)
  until(() => server.close())
  return server
}
