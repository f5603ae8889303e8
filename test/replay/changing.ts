import { randomUUID } from 'node:crypto'
import { agent, app } from '../../src/index.ts'

/* What comes out otherwise each time, and says so where it must not. */

console.log('loaded')

const by = (name: string, value: () => unknown) =>
  agent(name, {
    on: 'go',
    run() {
      console.log(`${name} runs`)
      return value()
    },
  })

export default app({
  name: 'test',
  use: [
    by('now', () => Date.now()),
    by('date', () => new Date()),
    by('chance', () => Math.random()),
    by('id', () => randomUUID()),
    by('web', () => crypto.getRandomValues(new Uint32Array(1))[0]),
    by('same', () => new Date(0).getTime()),
  ],
})
