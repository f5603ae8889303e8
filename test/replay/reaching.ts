import { execFileSync } from 'node:child_process'
import { lookup } from 'node:dns'
import { createServer, connect } from 'node:net'
import { createSocket } from 'node:dgram'
import { agent, app } from '../../src/index.ts'

/* Programs that do what only tools may. */

const port = Number(process.env.REACHED_PORT)

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

export default app({
  name: 'test',
  use: [
    reaching('socket', () => connect(port, '127.0.0.1')),
    reaching('server', () => createServer().listen(0)),
    reaching('packet', () => createSocket('udp4').send('x', port, '127.0.0.1')),
    reaching('name', () => lookup('localhost', () => {})),
    reaching('process', () => execFileSync('true')),
    agent('fetching', {
      on: 'go',
      async run() {
        await fetch(`http://127.0.0.1:${port}/`)
        return 'done'
      },
    }),
  ],
})
