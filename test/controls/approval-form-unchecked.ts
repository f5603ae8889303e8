import type { Control } from './control.ts'

export default {
  fault: 'A request for approval with a form is granted with content that does not fit.',
  file: 'src/tasks/approval-form.ts',
  find: 'structureProblem(form, content)',
  replace: '(structureProblem(form, content), undefined)',
  test: 'test/approval-form.test.ts',
  name: 'takes only what fits them',
} satisfies Control
