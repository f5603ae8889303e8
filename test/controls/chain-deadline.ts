import type { Control } from './control.ts'

export default {
  fault: 'A chain by continueAs drops the deadline of its start.',
  file: 'src/tasks/turn.ts',
  find: '...(start.deadline && { deadline: start.deadline }),',
  replace: '',
  test: 'test/bounds/chain.test.ts',
  name: 'after the deadline',
} satisfies Control
