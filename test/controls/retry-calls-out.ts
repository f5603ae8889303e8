import type { Control } from './control.ts'

export default {
  fault: 'A call that the failed turn had sent is made again under another key.',
  file: 'src/tasks/task.ts',
  find: '  if (again) started.setEarlierCalls(again)\n',
  replace: '',
  test: 'test/retry.test.ts',
  name: 'with open calls',
} satisfies Control
