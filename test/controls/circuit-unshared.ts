import type { Control } from './control.ts'

export default {
  fault: 'Every worker probes a provider by itself.',
  file: 'src/models/circuit.ts',
  find: 'if (!open || open.probe?.by === by) return',
  replace: 'if (true as boolean) return',
  test: 'test/models/outage-processes.test.ts',
  name: 'on sqlite',
} satisfies Control
