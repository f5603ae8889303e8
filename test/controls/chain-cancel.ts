import type { Control } from './control.ts'

export default {
  fault: 'A cancellation of the first task of a chain does not reach the one that is live.',
  file: 'src/tasks/rules.ts',
  find: "task?.end === 'continued') return 'forward'",
  replace: "task?.end === 'continued') return 'ignore'",
  test: 'test/bounds/chain.test.ts',
  name: 'a chain ends when',
} satisfies Control
