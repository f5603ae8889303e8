import type { Control } from './control.ts'

export default {
  fault: 'All instances of a workflow have the same short id.',
  file: 'src/trace/short-id.ts',
  find: 'instanceId(correlation, name) === task',
  replace: 'name === task',
  test: 'src/trace/short-id.test.ts',
  name: 'two instances of a workflow have different short ids',
} satisfies Control
