import type { Control } from './control.ts'

export default {
  fault: 'Of a join, only the last cause is shown.',
  file: 'src/trace/why.ts',
  find: 'before > 0 &&',
  replace: 'before > version &&',
  test: 'test/show.test.ts',
  name: 'on sqlite .*what a join',
} satisfies Control
