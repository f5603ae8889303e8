import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { manifest } from '../manifest.ts'
import type { WorkerPresence } from '../tasks/presence.ts'
import type { App } from './app.ts'
import type { Role } from './start.ts'

/** What a worker answers who asks for workers. `gateway`: its address, if it has one. */
export function presenceOf(app: App, roles: ReadonlySet<Role>, gateway: string | undefined): WorkerPresence {
  const hosted = (role: Role, kind: WorkerPresence['hosts'][number]['kind'], names: readonly string[]) =>
    roles.has(role) ? [...new Set(names)].map(name => ({ kind, name })) : []
  const namesOf = (members: readonly { readonly name: string }[]) => members.map(({ name }) => name)
  return {
    id: randomUUID(),
    app: app.name,
    host: hostname(),
    pid: process.pid,
    version: manifest.version,
    hosts: [
      ...hosted('agents', 'agent', namesOf(app.programs)),
      ...hosted('tools', 'tool', namesOf(app.tools)),
      ...hosted('models', 'model', namesOf(app.models)),
      ...hosted('triggers', 'trigger', namesOf(app.triggers)),
      ...hosted('gateway', 'gateway', gateway === undefined ? [] : [gateway]),
    ],
    since: new Date().toISOString(),
  }
}
