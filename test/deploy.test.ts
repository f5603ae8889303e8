import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { startChild, type Child } from '../src/testing/child.ts'
import { findNatsServer } from '../src/testing/nats/find.ts'
import { freePort } from '../src/testing/ports.ts'
import { until } from '../src/testing/wait.ts'
import { describeNatsServer } from './lib/nats.ts'
import { dataFolder } from './nats/lib/broker.ts'

/* The files of deploy/, as they stand there, without an engine for containers. deploy/check.ts checks their schemas. */

const root = join(import.meta.dirname, '..')
const read = (file: string) => readFile(join(root, 'deploy', file), 'utf8')
const indented = (text: string) => text.replace(/^(?=.)/gm, '    ')
const password = 'secret-1'

it('the manifests hold the files that compose mounts', async () => {
  const nats = await read('kubernetes/nats.yaml')
  for (const name of ['nats.conf', 'accounts.conf'])
    expect(nats).toContain(`  ${name}: |\n${indented(await read(`nats/${name}`))}`)
  const proxy = indented(await read('proxy/default.conf.template'))
  expect(await read('kubernetes/app.yaml')).toContain(`  default.conf.template: |\n${proxy}`)
})

it('every secret is in the examples, and nothing else is', async () => {
  const used = [...`${await read('nats/accounts.conf')}${await read('proxy/default.conf.template')}`.matchAll(secret)]
  const names = [...new Set(used.map(([, name]) => name!))].toSorted()
  const listed = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, name]) => name!).toSorted()
  expect(listed(await read('env.example'), /^(\w+)=/gm)).toEqual(names)
  expect(listed(await read('kubernetes/secret.example.yaml'), /^ {2}(\w+): change-me$/gm)).toEqual(names)
  expect([...new Set(listed(await read('compose.yaml'), /\$\{(\w+):\?/g))]).toEqual(names)
})

it('a container is given longer to end than its process takes', async () => {
  const pods = (await read('kubernetes/app.yaml')).split('\nkind: ').filter(text => text.includes('"--only"'))
  const graces = pods.map(text => Number(/terminationGracePeriodSeconds: (\d+)/.exec(text)![1]))
  const bounds = pods.map(text => Number(/TIDINGS_STOP_WITHIN, value: (\d+)s/.exec(text)?.[1] ?? 30))
  expect(bounds).toEqual([30, 80, 320, 30, 30])
  expect(graces.every((grace, i) => grace >= bounds[i]! + 10)).toBe(true)
})

const secret = /\$\{?([A-Z]+_(?:PASSWORD|TOKEN))\}?/g

describeNatsServer('the deployment', () => {
  it('answers on three servers with a process for each role, and ends in good order', async () => {
    const hosts = await cluster()
    const compose = await read('compose.yaml')
    const home = await dataFolder()
    const port = await freePort()
    const roles = [...compose.matchAll(/command: (\["run".*\])/g)].map(([, json]) => JSON.parse(json!) as string[])
    expect(roles.map(command => command.at(-1))).toEqual(['agents', 'tools', 'models', 'triggers', 'gateway'])
    const workers: Child[] = []
    const logOf = (command: string[]) => readFile(join(home, `${command.at(-1)}.log`), 'utf8')
    for (const command of roles) {
      const role = command.at(-1)!
      const [, bus] = new RegExp(`TIDINGS_BUS: (nats://${role}:.*)`).exec(compose)!
      const address = bus!.replace(secret, password).replace(/(?<=@)[^/]+/, hosts)
      const env = [`TIDINGS_BUS=${address}`, `TIDINGS_HOME=${join(home, role)}`, `TIDINGS_PORT=${port}`]
      workers.push(
        await child(home, role, ['env', ...env, process.execPath, join(root, 'src/cli/main.ts'), ...command]),
      )
      // Nobody else may make the streams.
      if (role === 'agents')
        await until(async () => expect(await logOf(command)).toContain('3 copies') ?? true, { within: 30_000 })
    }
    const url = `http://127.0.0.1:${port}`
    await until(async () => (await fetch(`${url}/health`)).status === 200, { within: 30_000 })
    const posted = await fetch(`${url}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ type: 'question.asked', data: { text: 'When is the shop open on Sunday?' } }),
    })
    const { correlationid } = (await posted.json()) as { correlationid: string }
    const stream = await fetch(`${url}/events/stream?correlation=${correlationid}&type=question.answered`)
    let seen = ''
    for await (const chunk of stream.body!.pipeThrough(new TextDecoderStream()))
      if ((seen += chunk).includes('\n\n') && seen.includes('event: question.answered')) break
    expect(seen).toContain('On Sunday the shop is open')
    for (const worker of workers) worker.signal('SIGTERM')
    await Promise.all(workers.map(({ ended }) => ended))
    for (const command of roles) expect(await logOf(command)).toMatch(/stopped\n$/)
  }, 90_000)
})

async function child(folder: string, name: string, command: readonly string[]): Promise<Child> {
  const started = await startChild(command, { log: join(folder, `${name}.log`), truncate: true, remove: undefined })
  onTestFinished(async () => {
    started.signal('SIGKILL')
    await started.ended
  })
  return started
}

/** Three servers with nats.conf, of which only addresses and folders are others. */
async function cluster(): Promise<string> {
  const found = await findNatsServer({ build: false })
  if ('reason' in found) throw new Error(found.reason)
  const folder = await dataFolder()
  const nodes = await Promise.all(
    [0, 1, 2].map(async i => ({
      name: `nats-${i}`,
      client: await freePort(),
      peer: await freePort(),
      http: await freePort(),
    })),
  )
  const routes = nodes.map(({ peer }) => `"nats://127.0.0.1:${peer}"`).join(', ')
  const conf = await read('nats/nats.conf')
  const accounts = await read('nats/accounts.conf')
  const secrets = [...new Set([...accounts.matchAll(secret)].map(([, name]) => `${name}=${password}`))]
  for (const { name, client, peer, http } of nodes) {
    const place = join(folder, name)
    await mkdir(place)
    await writeFile(join(place, 'accounts.conf'), accounts)
    const own = conf
      .replace('0.0.0.0:4222', `127.0.0.1:${client}`)
      .replace('0.0.0.0:6222', `127.0.0.1:${peer}`)
      .replace('0.0.0.0:8222', `127.0.0.1:${http}`)
      .replace('/run/nats', place)
      .replace('"/data"', JSON.stringify(join(place, 'data')))
      .replace(/routes: .*/, `routes: [${routes}]`)
    await writeFile(join(place, 'nats.conf'), own)
    const command = [...secrets, `SERVER_NAME=${name}`, found.path, '-c', join(place, 'nats.conf')]
    await promisify(execFile)('env', [...command, '-t'])
    await child(folder, name, ['env', ...command])
  }
  for (const { http } of nodes)
    await until(async () => (await fetch(`http://127.0.0.1:${http}/healthz?js-server-only=true`)).ok, {
      within: 20_000,
    })
  return nodes.map(({ client }) => `127.0.0.1:${client}`).join(',')
}
