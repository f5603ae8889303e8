import type { Control } from './control.ts'

export default {
  fault:
    'Two processes copy the same log, and the slower one overwrites what workers have done since the other one verified.',
  file: 'src/bus/copy/copy-log.ts',
  find: '      await copy.assertOwned()\n',
  replace: '',
  test: 'test/copy/refusals.test.ts',
  name: 'the first one stops',
} satisfies Control
