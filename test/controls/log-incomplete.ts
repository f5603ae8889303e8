import type { Control } from './control.ts'

export default {
  fault: 'A log that lost some or all of its acknowledged events is opened without an error.',
  file: 'src/drivers/sqlite/log-mark.ts',
  find: '  if (!mark) return\n',
  replace: '  if (!mark || Date.now() > 0) return\n',
  test: 'test/home.test.ts',
  name: 'a log that has lost data',
} satisfies Control
