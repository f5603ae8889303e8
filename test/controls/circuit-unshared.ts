import type { Control } from './control.ts'

export default {
  fault: 'Every worker probes a provider by itself.',
  file: 'src/models/circuit.ts',
  find: 'if (await this.#write(probing)) return',
  replace: 'this.#open = probing\n        return',
  test: 'test/models/outage.test.ts',
  name: 'on sqlite .* 200 tasks of 3 workers',
} satisfies Control
