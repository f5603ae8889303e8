import type { Control } from './control.ts'

export default {
  fault: 'An event from outside that is repeated after the broker forgot its id starts a second task.',
  file: 'src/bus/ids.ts',
  find: '(id === undefined ? randomUUIDv7()',
  replace: '(id !== null ? randomUUIDv7()',
  test: 'test/repeated-ids.test.ts',
  name: 'a log of three partitions',
} satisfies Control
