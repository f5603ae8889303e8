import type { Control } from './control.ts'

export default {
  fault: 'Receivers in one process share the object of an event.',
  file: 'src/drivers/sqlite/consumers.ts',
  find: 'copyOf(done[op]!.entries[row as number]!.event)',
  replace: 'done[op]!.entries[row as number]!.event',
  test: 'src/drivers/sqlite/sqlite.test.ts',
  name: 'a delivery is its own',
} satisfies Control
