import { once } from 'node:events'
import { createServer } from 'node:net'

// Below the ports of outgoing connections, which begin at 32768 (Linux) or 49152 (macOS), so that the port of a killed server is
// still free when it restarts.
const [lowest, above] = [15_000, 32_000]

/** A port of 127.0.0.1 that nothing listens on. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = lowest + Math.floor(Math.random() * (above - lowest))
    if (await isFree(port)) return port
  }
}

/** Whether nothing listens on the port of 127.0.0.1. */
export async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}
