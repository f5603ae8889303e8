import type { Control } from './control.ts'

export default {
  fault: 'The stream of a task fails if the broker is too busy to answer its first reading.',
  file: 'src/ask/feed.ts',
  find: 'if (!(error instanceof TidingsError && error.retryable)) throw error',
  replace: 'if (error instanceof TidingsError) throw error',
  test: 'src/ask/feed.test.ts',
  name: 'waits while the broker does not answer',
} satisfies Control
