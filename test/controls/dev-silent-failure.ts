import type { Control } from './control.ts'

export default {
  fault: '`tidings dev` prints one cut line of a failed task, without where and what to do.',
  file: 'src/cli/tail.ts',
  find: '...(await more(entry.event))',
  replace: '',
  test: 'test/dev.test.ts',
  name: 'why a task failed',
} satisfies Control
