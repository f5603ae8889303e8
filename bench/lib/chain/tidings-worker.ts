import { start, type Role } from '../../../src/index.ts'
import { needed, serves } from './child.ts'
import { tidingsApp } from './tidings-app.ts'

/* A worker of the task on Tidings, as a process. */

const [home, bus, roles, modelUrl, slots] = process.argv.slice(2) as [string, string, string, string, string?]
const only = roles.split(',') as Role[]
await needed()
const running = await start(tidingsApp(modelUrl, slots === undefined ? undefined : Number(slots)), { home, bus, only })
serves(() => running.stop())
