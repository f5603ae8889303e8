import type { Control } from './control.ts'

export default {
  fault: 'An option that means nothing, such as `tool` in place of `tools`, is ignored.',
  file: 'src/options.ts',
  find: 'if (value !== undefined && !Object.hasOwn(checks, name)) {',
  replace: 'if (value === checks) {',
  test: 'test/definitions.test.ts',
  name: 'an unknown option',
} satisfies Control
