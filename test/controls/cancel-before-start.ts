import type { Control } from './control.ts'

export default {
  fault: 'A cancellation that comes before the first turn of its task is dropped, and the task runs.',
  file: 'src/tasks/rules.ts',
  find: "return isOwnTask(event) ? 'accept' : 'ignore'",
  replace: "return isOwnTask(event) ? 'ignore' : 'ignore'",
  test: 'test/bounds/cancel.test.ts',
  name: 'before the start',
} satisfies Control
