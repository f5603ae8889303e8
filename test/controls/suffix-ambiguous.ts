import type { Control } from './control.ts'

export default {
  fault: 'Of several things with one ending, any is taken.',
  file: 'src/trace/index/resolve-id.ts',
  find: 'candidates.length === 1',
  replace: 'candidates.length > 0',
  test: 'test/suffixes.test.ts',
  name: 'an ending of several',
} satisfies Control
