import type { Control } from './control.ts'

export default {
  fault: 'The report desk does not say which files it did not read.',
  file: 'examples/report-desk/main.ts',
  find: 'for (const line of notRead(skipped))',
  replace: 'for (const line of notRead([]))',
  test: 'examples/report-desk/story.test.ts',
  name: 'a folder of the user is read whatever its files are called, and skipped files are reported',
} satisfies Control
