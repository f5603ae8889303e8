import type { Control } from './control.ts'

export default {
  fault: 'Two people who retry a task at once start two successors.',
  file: 'src/bus/ids.ts',
  find: '=> `retry/${task}`',
  replace: '=> `retry/${task}/${Math.random()}`',
  test: 'test/retry.test.ts',
  name: 'by two commands at once',
} satisfies Control
