import type { Control } from './control.ts'

export default {
  fault: 'A log that lost events it had acknowledged, or all of them, is opened in silence.',
  file: 'src/drivers/sqlite/mark.ts',
  find: '  if (!mark) return\n',
  replace: '  if (!mark || Date.now() > 0) return\n',
  test: 'test/home.test.ts',
  name: 'a log that is not what it was',
} satisfies Control
