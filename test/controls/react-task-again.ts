import type { Control } from './control.ts'

export default {
  fault: 'A component that passes the id of its task back to the hook reads the task again.',
  file: 'src/react/index.ts',
  find: 'task !== undefined && task !== read.current',
  replace: 'task !== undefined',
  test: 'test/client/react.test.ts',
  name: 'the hooks show a task and events',
} satisfies Control
