import type { Control } from './control.ts'

export default {
  fault: 'A second process silently creates a log in place of one that another process still writes to.',
  file: 'src/drivers/sqlite/open.ts',
  find: '  assertNoOtherLogOpen(home)\n',
  replace: '',
  test: 'test/home.test.ts',
  name: 'no other process creates a log',
} satisfies Control
