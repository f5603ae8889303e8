import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { Bus } from '../../src/bus/bus.ts'
import { CommitFailures } from '../../src/testing/sqlite/commit-failures.ts'
import { openFaultySqlite } from '../../src/testing/sqlite/open-faulty.ts'
import { startGateway as start, type GatewayOptions } from '../../src/gateway/gateway.ts'

/** A gateway on an empty log, until the test is over. `commits` can fail. */
export async function startGateway(options: Partial<GatewayOptions> = {}) {
  const home = await mkdtemp(join(tmpdir(), 'tidings-gateway-'))
  const commits = new CommitFailures()
  const bus = new Bus(await openFaultySqlite({ home }, { commits }))
  const gateway = await start({ bus, port: 0, ...options })
  const { url } = gateway
  onTestFinished(async () => {
    await gateway.stop()
    await bus.driver.close()
    await rm(home, { recursive: true })
  })
  return { bus, gateway, url, commits }
}
