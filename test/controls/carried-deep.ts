import type { Control } from './control.ts'

export default {
  fault:
    'An event of 63 levels is too deep for the one that carries it to an instance of a workflow, and is parked for good.',
  file: 'src/bus/bus.ts',
  find: 'event.type === routedType ? 2 :',
  replace: 'event.type === routedType ? 0 :',
  test: 'test/workflows/carried.test.ts',
  name: 'on sqlite.*as deep',
} satisfies Control
