import type { Control } from './control.ts'

export default {
  fault: 'That no worker hosts what a task waits for is not on the attention list.',
  file: 'src/trace/attention/list.ts',
  find: '  yield* await findUnhosted(bus, query)\n',
  replace: '',
  test: 'test/dev.test.ts',
  name: 'no worker hosts',
} satisfies Control
