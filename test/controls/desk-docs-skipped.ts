import type { Control } from './control.ts'

export default {
  fault: 'The report desk skips files of a user by rules that are meant for packages.',
  file: 'examples/report-desk/library/files.ts',
  find: 'return inPackage && (packageNames.test(name)',
  replace: 'return (packageNames.test(name)',
  test: 'examples/report-desk/library/library.test.ts',
  name: 'every file in a folder of the user is read, or reported as skipped',
} satisfies Control
