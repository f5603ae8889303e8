import { startGateway } from '../../src/gateway/gateway.ts'
import { openBus } from '../../src/runtime/environment.ts'

/* A gateway and nothing else: `node gateway-child.ts HOME BUS PORT [POLICY]`. */

const [home, bus, port, policy] = process.argv.slice(2) as [string, string, string, string?]
const gateway = await startGateway({
  bus: await openBus({ home, bus }),
  port: Number(port),
  home,
  ...(policy && { policy }),
})
process.send!(gateway.console)
