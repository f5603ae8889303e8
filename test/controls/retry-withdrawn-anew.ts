import type { Control } from './control.ts'

export default {
  fault: 'An agent whose retry was cancelled before it began starts from the beginning.',
  file: 'src/replay/retry.ts',
  find: '    if (before !== undefined && tasks.successorOf(before) !== task) return',
  replace: '    if (before === "" && tasks.successorOf(before) !== task) return',
  test: 'test/retry-once.test.ts',
  name: 'whose retry was cancelled before it began',
} satisfies Control
