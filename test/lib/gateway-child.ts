import { startGateway } from '../../src/gateway/gateway.ts'
import { openBus } from '../../src/runtime/environment.ts'

/* A gateway and nothing else: `node gateway-child.ts HOME BUS PORT`. */

const [home, bus, port] = process.argv.slice(2) as [string, string, string]
await startGateway({ bus: await openBus({ home, bus }), port: Number(port) })
process.send!('ready')
