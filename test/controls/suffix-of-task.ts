import type { Control } from './control.ts'

export default {
  fault: 'A task is named by its whole id only.',
  file: 'src/cli/selection.ts',
  find: '{ task: await resolveTask(bus, task) }',
  replace: '{ task }',
  test: 'test/suffixes.test.ts',
  name: 'every verb accepts',
} satisfies Control
