import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startNats } from '../src/testing/nats/start.ts'
import { tapClients } from '../test/tap-clients/tap-clients.ts'

/*
 * Runs LangGraph.js, the Python package of OpenAI and the AI SDK through `tidings tap openai`, all unmodified, and shows what the command says
 * about their calls: `npm run tap-clients [-- --bus sqlite|nats]`. Installs the clients into the cache, once.
 */

const { values } = parseArgs({ options: { bus: { type: 'string', default: 'sqlite' } } })
const home = await mkdtemp(join(tmpdir(), 'tidings-tap-clients-'))
const nats = values.bus === 'nats' ? await startNats() : undefined
try {
  const faults = await tapClients({
    home,
    bus: nats ? `${nats.url}/clients` : 'sqlite',
    print: text => console.log(text),
  })
  console.log(faults.length === 0 ? '\nall is well' : `\n${faults.length} faults\n${faults.join('\n')}`)
  process.exitCode = faults.length === 0 ? 0 : 1
} finally {
  await nats?.stop()
  await rm(home, { recursive: true, force: true, maxRetries: 20 })
}
