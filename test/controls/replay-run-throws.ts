import type { Control } from './control.ts'

export default {
  fault: 'What run() throws is shown as an event that was added, at the line before.',
  file: 'src/replay/shadow.ts',
  find: 'if (hasFailed && machine.thrown !== undefined)',
  replace: 'if (hasFailed && this.ended)',
  test: 'test/replay/shadow.test.ts',
  name: 'that throws is reported with its line',
} satisfies Control
