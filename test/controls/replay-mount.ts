import type { Control } from './control.ts'

export default {
  fault: 'A log that was closed cannot be read where the folder cannot be written.',
  file: 'src/drivers/sqlite/read-only.ts',
  find: '?immutable=1',
  replace: '',
  test: 'test/replay/read-only.test.ts',
  name: 'cannot be written',
} satisfies Control
