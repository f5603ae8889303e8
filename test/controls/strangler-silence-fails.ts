import type { Control } from './control.ts'

export default {
  fault: 'A candidate that no user is on is rolled back, because it answers nothing.',
  file: 'src/strangler/criteria.ts',
  find: 'finished === 0 && asked > 0)',
  replace: 'finished === 0 && asked >= 0)',
  test: 'src/strangler/criteria.test.ts',
  name: 'no data is a failure only',
} satisfies Control
