import type { Control } from './control.ts'

export default {
  fault: 'Code is given the very object that the runtime records, and changes the record.',
  file: 'src/json.ts',
  find: '  if (Array.isArray(json)) {',
  replace: '  if (maxDepth > 0) return json\n  if (Array.isArray(json)) {',
  test: 'test/values/property.test.ts',
  name: 'in several processes',
} satisfies Control
