import type { Control } from './control.ts'

export default {
  fault: 'What code gives is kept as its object, and changes with it until it is written.',
  file: 'src/json.ts',
  find: 'return taken(value, path) ?? null',
  replace: 'return (value as Json) ?? null',
  test: 'test/values/property.test.ts',
  name: 'in several processes',
} satisfies Control
