import type { Control } from './control.ts'

export default {
  fault: 'A reader asks for a text again and again, though the call is answered on the log.',
  file: 'src/tasks/open-texts.ts',
  find: `if (answer) this.end(call)`,
  replace: `if (!answer) this.end(call)`,
  test: 'src/tasks/open-texts.test.ts',
  name: 'asks no more for a call',
} satisfies Control
