import { app, start } from '../../src/index.ts'
import { buyer, shop } from './operations.ts'

/* A worker that is killed when it is about to publish its Nth `agent.retry`. */

const [home, bus, nth] = process.argv.slice(2) as [string, string, string]
const running = await start(app({ name: 'test', use: [buyer, shop.tool] }), { home, bus, only: ['agents', 'tools'] })
const publish = running.bus.publish.bind(running.bus)
let retries = 0
running.bus.publish = async draft => {
  if (draft.type === 'agent.retry' && ++retries === Number(nth)) process.kill(process.pid, 'SIGKILL')
  return publish(draft)
}
console.log('ready')
