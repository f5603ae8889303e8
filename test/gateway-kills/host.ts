import { start, type Role } from '../../src/runtime/start.ts'
import app from './app.ts'

/* One role of the app in a process of its own: `node host.ts ROLE HOME BUS PORT POLICY`. */

const [role, home, bus, port, policy] = process.argv.slice(2) as [Role, string, string, string, string]

await start(app, { home, bus, policy, port: Number(port), only: [role] })
process.send?.('ready')
