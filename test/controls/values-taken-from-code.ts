import type { Control } from './control.ts'

export default {
  fault: 'What code gives is kept as its object, and changes with it until it is written.',
  file: 'src/json.ts',
  find: 'return toJson(value, taking) ?? null',
  replace: 'return toJson(value, taking) === undefined ? null : (value as Json)',
  test: 'test/values/property.test.ts',
  name: 'in several processes',
} satisfies Control
