import type { Control } from './control.ts'

export default {
  fault: 'A wrong type of an option is found when the option is used, not when the app is loaded.',
  file: 'src/options.ts',
  find: '    const problem = check(value)\n',
  replace: '    const problem = value === checks ? check(value) : undefined\n',
  test: 'test/definitions.test.ts',
  name: 'a wrong type',
} satisfies Control
