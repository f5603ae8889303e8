import { Hono } from 'hono'
import type { Bus } from '../../bus/bus.ts'
import { compactCursor } from '../../bus/cursor.ts'
import { manifest } from '../../manifest.ts'
import { declaredApps, type DeclaredApp } from '../../tasks/declared-apps.ts'
import { hostedNames, hostsOn } from '../../tasks/hosts.ts'
import type { GatewayDeps, GatewayEnv } from '../context.ts'
import type { Action } from '../identity/principal.ts'

const actions = ['publish', 'read', 'approve', 'operate'] satisfies Action[]

/** What this log is, who asks, and what its apps declare. */
export function infoRoutes({ bus, identity, index }: GatewayDeps): Hono<GatewayEnv> {
  return new Hono<GatewayEnv>().get('/info', async c => {
    const { principal } = c.var
    const { tenant, user } = principal
    const apps = await declaredApps(bus)
    return c.json({
      version: manifest.version,
      log: { ...(await logInfo(bus, apps)), index: { behind: await index.behind() } },
      identity: identity !== undefined,
      principal: {
        tenant,
        ...(user !== undefined && { user }),
        rights: Object.fromEntries(actions.map(action => [action, principal.may(action)])),
      },
      apps: apps.map(({ app, budget }) => ({ app, ...(budget && { budget }) })),
      ...(await membersOf(bus, apps)),
    })
  })
}

async function logInfo(bus: Bus, apps: readonly DeclaredApp[]) {
  const [durability, head, horizon] = await Promise.all([bus.durability(), bus.head(), bus.horizon()])
  return {
    bus: bus.name,
    durability,
    partitions: bus.partitions,
    head: compactCursor(head),
    horizon: compactCursor(horizon),
    // Every app removes what is older.
    ...(apps.length > 0 && { retention: Math.min(...apps.map(({ retention }) => retention)) }),
  }
}

/** What the apps declare, each name once, and the names that only their consumer groups tell. */
async function membersOf(bus: Bus, apps: readonly DeclaredApp[]) {
  const [hosts, hosted] = await Promise.all([hostsOn(bus), hostedNames(bus)])
  const programsOf = <T extends { name: string }>(of: (app: DeclaredApp) => readonly T[]) =>
    // An agent may have moved to another app.
    apps.flatMap(each => of(each).flatMap(({ ...about }) => (hosts[about.name] === each.app ? { app: each.app, ...about } : []))) // biome-ignore format: one line
  const agents = programsOf(({ agents }) => agents)
  const workflows = programsOf(({ workflows }) => workflows)
  // The types that start something, declared or not, can be published too.
  const started = [...agents, ...workflows].flatMap(({ on }) => on.map(type => ({ type })))
  const programs = new Set([...agents, ...workflows].map(({ name }) => name))
  return {
    agents: [...agents, ...hosted.agent.flatMap(name => (programs.has(name) ? [] : { app: hosts[name]!, name }))],
    workflows,
    tools: withUndeclared(apps.flatMap(({ tools }) => tools), hosted.tool),
    models: withUndeclared(apps.flatMap(({ models }) => models), hosted.model),
    types: firstOfEach([...apps.flatMap(({ types }) => types), ...started], ({ type }) => type),
  } // biome-ignore format: one line for each kind
}

const withUndeclared = <T extends { readonly name: string }>(declared: readonly T[], hosted: readonly string[]) =>
  firstOfEach<{ readonly name: string }>([...declared, ...hosted.map(name => ({ name }))], ({ name }) => name)

const firstOfEach = <T>(all: readonly T[], key: (each: T) => string): T[] => [
  ...new Map(all.toReversed().map(each => [key(each), each])).values(),
].reverse() // biome-ignore format: one line
