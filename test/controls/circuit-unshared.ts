import type { Control } from './control.ts'

export default {
  fault: 'Every worker probes a provider by itself.',
  file: 'src/models/circuit.ts',
  find: 'if (await this.#write(probing)) return',
  replace: 'this.#open = probing\n        return',
  test: 'test/models/outage-processes.test.ts',
  name: 'on sqlite',
} satisfies Control
