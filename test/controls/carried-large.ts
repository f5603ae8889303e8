import type { Control } from './control.ts'

export default {
  fault:
    'An event of 4 MiB is too large for the one that carries it to an instance of a workflow, and is parked for good.',
  file: 'src/bus/bus.ts',
  find: 'if (light === carried) return',
  replace: 'if (light !== null) return',
  test: 'test/workflows/carried.test.ts',
  name: 'on sqlite.*as large',
} satisfies Control
