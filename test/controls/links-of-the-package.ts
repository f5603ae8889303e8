import type { Control } from './control.ts'

export default {
  fault: 'Pages of the package link to files that it does not hold.',
  file: 'package.json',
  find: '    "examples/*/README.md",\n',
  replace: '',
  test: 'test/tidy.test.ts',
  name: 'point into the package',
} satisfies Control
