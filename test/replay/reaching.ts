import { execFileSync } from 'node:child_process'
import { lookup } from 'node:dns'
import dns from 'node:dns/promises'
import { rmSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import inspector from 'node:inspector'
import { createServer, connect } from 'node:net'
import { createSocket } from 'node:dgram'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import { agent, app } from '../../src/index.ts'

/* Programs that do what only tools may. */

const port = Number(process.env.REACHED_PORT)
const folder = process.env.REACHED_FOLDER!
// As many apps do: what their tools need is opened when they are loaded.
const database = new DatabaseSync(join(folder, 'opened.db'))
database.exec('CREATE TABLE IF NOT EXISTS seen(x)')

const reaching = (name: string, reach: () => unknown) =>
  agent(name, {
    on: 'go',
    init: () => null,
    evolve: state => state,
    decide(_state, _inputs, ctx) {
      reach()
      ctx.complete('done')
    },
  })

const awaiting = (name: string, reach: () => Promise<unknown>) =>
  agent(name, {
    on: 'go',
    async run() {
      await reach()
      return 'done'
    },
  })

export default app({
  name: 'test',
  use: [
    reaching('socket', () => connect(port, '127.0.0.1')),
    reaching('server', () => createServer().listen(0)),
    reaching('packet', () => createSocket('udp4').send('x', port, '127.0.0.1')),
    reaching('name', () => lookup('localhost', () => {})),
    reaching('process', () => execFileSync('true')),
    reaching('thread', () => new Worker('', { eval: true })),
    reaching('inspector', () => inspector.open(0)),
    reaching('session', () => new inspector.Session().connect()),
    reaching('file', () => writeFileSync(join(folder, 'written'), 'x')),
    reaching('removed', () => rmSync(join(folder, 'kept'))),
    reaching('database', () => new DatabaseSync(join(folder, 'made.db'))),
    reaching('statement', () => database.exec('INSERT INTO seen VALUES (1)')),
    reaching('exit', () => process.exit(0)),
    awaiting('fetching', () => fetch(`http://127.0.0.1:${port}/`)),
    awaiting('looking', () => dns.lookup('localhost')),
    awaiting('writing', () => writeFile(join(folder, 'written'), 'x')),
  ],
})
