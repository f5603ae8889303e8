import type { Control } from './control.ts'

export default {
  fault: 'An agent that failed is asked from the beginning when its caller is retried, and pays again.',
  file: 'src/replay/retry.ts',
  find: '    retries[id] = next.fork\n',
  replace: '',
  test: 'test/retry-agents.test.ts',
  name: 'whose sub-agent failed',
} satisfies Control
