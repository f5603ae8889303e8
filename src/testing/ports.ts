import { once } from 'node:events'
import { createServer } from 'node:net'

// Systems give ports to outgoing connections from 32768 (Linux) or 49152 (macOS) on. One from below is still free when
// a server that was killed comes back to it.
const [lowest, above] = [15_000, 32_000]

/** A port of 127.0.0.1 that nothing listens on. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = lowest + Math.floor(Math.random() * (above - lowest))
    if (await isFree(port)) return port
  }
}

async function isFree(port: number): Promise<boolean> {
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
