import type { Control } from './control.ts'

export default {
  fault: 'A second process silently makes a log in the place of one that another process still writes to.',
  file: 'src/drivers/sqlite/index.ts',
  find: '  assertNobodyHasAnother(home)\n',
  replace: '',
  test: 'test/home.test.ts',
  name: 'no other process begins a log',
} satisfies Control
