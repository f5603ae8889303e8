import type { Control } from './control.ts'

export default {
  fault: 'The report desk does not say which files it did not read.',
  file: 'examples/report-desk/main.ts',
  find: 'for (const line of notRead(skipped))',
  replace: 'for (const line of notRead([]))',
  test: 'examples/report-desk/story.test.ts',
  name: 'what is not read is named',
} satisfies Control
