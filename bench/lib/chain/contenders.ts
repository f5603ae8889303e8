import { connect } from '../../../src/index.ts'
import { freePort } from '../../../src/testing/ports.ts'
import type { ModelCounts } from './model-server.ts'
import { Supervised } from './supervisor.ts'

/** A system that runs the task: two processes of each kind. */
export interface Contender {
  readonly urls: readonly string[]
  /** In the order in which they are killed: what answers users, what runs agents, what runs tools, and the other one of each. */
  readonly victims: readonly Supervised[]
  /** Those that host the tool `prices`. */
  readonly tools: readonly Supervised[]
  /** Processor time of all its processes, in seconds. */
  cpuSeconds(): number
  /** What it accepted durably and has not ended; undefined if it accepts nothing durably. */
  unfinished(): Promise<number | undefined>
  stop(): Promise<void>
}

export interface ContenderOptions {
  readonly modelUrl: string
  readonly slots: number
  /** Tasks that are admitted at once. */
  readonly admit: number
  /** Otherwise as it is written first: with the defaults of its libraries, without admission, deadlines and limits. */
  readonly isTuned: boolean
}

const urlOf = (port: number) => `http://127.0.0.1:${port}`

export async function startChain({ modelUrl, admit, isTuned }: ContenderOptions): Promise<Contender> {
  const tuned = isTuned ? 'tuned' : 'plain'
  const tools = await two('chain-tools.ts', [])
  const mcp = await two('chain-mcp.ts', [])
  const agents = await two('chain-agents.ts', [modelUrl, tools.urls.join(), mcp.urls.join(), tuned])
  const desks = await two('chain-desk.ts', [agents.urls.join(), admit / 2, tuned])
  const all = [desks, agents, mcp, tools].flatMap(each => each.processes)
  const [desk1, desk2, agents1, agents2, mcp1, , , tools2] = all as [Supervised, Supervised, ...Supervised[]]
  await Promise.all(all.map(each => each.start()))
  return {
    urls: desks.urls,
    victims: [desk1, agents1!, mcp1!, desk2, agents2!, tools2!],
    tools: mcp.processes,
    cpuSeconds: () => cpuSecondsOf(all),
    unfinished: () => Promise.resolve(undefined),
    async stop() {
      await Promise.all(all.map(each => each.stop()))
    },
  }
}

/** `bus`: the address of an empty log. */
export async function startTidings(home: string, bus: string, options: ContenderOptions): Promise<Contender> {
  const { modelUrl, slots, admit, isTuned } = options
  const worker = (roles: string) =>
    new Supervised('tidings-worker.ts', [home, bus, roles, modelUrl, ...(isTuned ? [slots, admit] : [])])
  const [agents1, agents2] = [worker('agents,models'), worker('agents,models')]
  const [tools1, tools2] = [worker('tools'), worker('tools')]
  const desks = await two('tidings-desk.ts', [home, bus, isTuned ? 'tuned' : 'plain'])
  const [desk1, desk2] = desks.processes
  // The first worker creates the log.
  await agents1.start()
  const others = [agents2, tools1, tools2, desk1, desk2]
  await Promise.all(others.map(each => each.start()))
  return {
    urls: desks.urls,
    victims: [desk1, agents1, tools1, desk2, agents2, tools2],
    tools: [tools1, tools2],
    cpuSeconds: () => cpuSecondsOf([agents1, ...others]),
    unfinished: () => unfinishedOn(home, bus),
    async stop() {
      for (const each of [...others.toReversed(), agents1]) await each.stop()
    },
  }
}

const cpuSecondsOf = (processes: readonly Supervised[]) => processes.reduce((sum, each) => sum + each.cpuSeconds(), 0)

/** Two processes of a service, on ports of their own. */
async function two(file: string, args: readonly (string | number)[]) {
  const ports = [await freePort(), await freePort()] as const
  const processes = [new Supervised(file, [ports[0], ...args]), new Supervised(file, [ports[1], ...args])] as const
  return { urls: ports.map(urlOf), processes }
}

async function unfinishedOn(home: string, bus: string): Promise<number> {
  await using tidings = await connect(bus, { home })
  const open = new Set<string>()
  for await (const { event } of tidings.bus.read({ filter: [{ types: ['agent.invoke', 'agent.task.*'] }] })) {
    if (event.type === 'agent.invoke' && event.target === 'desk') open.add(event.correlationid)
    if (event.type !== 'agent.invoke' && event.source === '/agents/desk') open.delete(event.correlationid)
  }
  return open.size
}

/** The model server, in its own process. */
export interface ModelServer {
  readonly url: string
  counts(): Promise<ModelCounts>
  stop(): Promise<void>
}

export async function startModel(slots: number, maxQueue: number): Promise<ModelServer> {
  const port = await freePort()
  const server = new Supervised('model-server.ts', [port, slots, maxQueue])
  await server.start()
  const url = urlOf(port)
  const counts = async () => (await (await fetch(`${url}/counts`)).json()) as ModelCounts
  return { url, counts, stop: () => server.stop() }
}
