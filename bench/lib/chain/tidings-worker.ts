import { start, type Role } from '../../../src/index.ts'
import { needed, serves } from './child.ts'
import { tidingsApp } from './tidings-app.ts'

/* A worker of the task on Tidings, as a process. */

const [home, bus, roles, modelUrl, slots, admit] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string?,
  string?,
]
const only = roles.split(',') as Role[]
await needed()
const running = await start(
  tidingsApp(modelUrl, slots === undefined ? {} : { slots: Number(slots), admit: Number(admit) }),
  { home, bus, only },
)
serves(() => running.stop())
