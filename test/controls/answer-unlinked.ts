import type { Control } from './control.ts'

export default {
  fault: 'The answer to an event does not name the workflow instance that it feeds.',
  file: 'src/gateway/commands/publish.ts',
  find: '...(linked.length > 0 && { linked }),',
  replace: '...(linked.length < 0 && { linked }),',
  test: 'test/workflows/linked.test.ts',
  name: 'are named',
} satisfies Control
