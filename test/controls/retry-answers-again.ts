import type { Control } from './control.ts'

export default {
  fault: 'A retry answers a caller that was answered before.',
  file: 'src/tasks/fork.ts',
  find: 'const { replyto: _, call: __, deadline: ___, traceparent: ____, retryof: _____, ...start }',
  replace: 'const { traceparent: ____, ...start }',
  test: 'test/retry-agents.test.ts',
  name: 'does not answer the caller a second time',
} satisfies Control
