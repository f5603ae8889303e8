import type { Control } from './control.ts'

export default {
  fault: 'Receivers in one process share the object of an event.',
  file: 'src/drivers/sqlite/consumer-registry.ts',
  find: 'copyOf(done[op]!.entries[row]!.event)',
  replace: 'done[op]!.entries[row]!.event',
  test: 'src/drivers/sqlite/sqlite.test.ts',
  name: 'a delivery is its own',
} satisfies Control
