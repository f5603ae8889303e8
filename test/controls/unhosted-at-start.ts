import type { Control } from './control.ts'

export default {
  fault: 'A worker starts without a word about calls that nothing hosts.',
  file: 'src/runtime/unhosted.ts',
  find: 'if (missing.size === 0) return undefined',
  replace: 'if (missing.size >= 0) return undefined',
  test: 'test/unhosted.test.ts',
  name: 'a start warns about what nothing hosts',
} satisfies Control
