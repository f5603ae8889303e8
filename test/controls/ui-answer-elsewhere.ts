import type { Control } from './control.ts'

export default {
  fault: 'The gateway answers calls that are not for a user interface.',
  file: 'src/tasks/rules.ts',
  find: 'if (open && isUiAnswer(event) && open.target !== uiTarget)',
  replace: 'if (open && isUiAnswer(event) && open.target === uiTarget && isStep)',
  test: 'test/ag-ui.test.ts',
  name: 'takes an answer of a user interface for no other call',
} satisfies Control
