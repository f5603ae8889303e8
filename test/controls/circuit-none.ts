import type { Control } from './control.ts'

export default {
  fault: 'Each request finds the outage of a provider out for itself.',
  file: 'src/models/station.ts',
  find: 'policy.retries ? new Circuit(bus, model.name) : undefined',
  replace: 'undefined as Circuit | undefined',
  test: 'test/models/outage.test.ts',
  name: 'on sqlite .* 200 tasks wait',
} satisfies Control
