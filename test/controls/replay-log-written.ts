import type { Control } from './control.ts'

export default {
  fault: 'A replay writes to the embedded log.',
  file: 'src/cli/replay.ts',
  find: 'readOnly: true',
  replace: 'readOnly: false',
  test: 'test/replay/read-only.test.ts',
  name: 'leaves the log',
} satisfies Control
