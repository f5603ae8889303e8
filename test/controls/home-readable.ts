import type { Control } from './control.ts'

export default {
  fault: 'Other users of the machine can read the log, its blobs and its index.',
  file: 'src/bus/private-files.ts',
  find: 'export const privateFile = 0o600\n',
  replace: 'export const privateFile = 0o644\n',
  test: 'test/home.test.ts',
  name: 'the files of a log',
} satisfies Control
