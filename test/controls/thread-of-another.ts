import type { Control } from './control.ts'

export default {
  fault: 'A thread takes a request to another agent, which knows nothing of the conversation.',
  file: 'src/ask/threads.ts',
  find: 'if (current && current.target !== target) throw otherAgent(current, target)',
  replace: '',
  test: 'test/threads.test.ts',
  name: 'makes no thread for a request that it refuses',
} satisfies Control
