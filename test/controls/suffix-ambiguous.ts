import type { Control } from './control.ts'

export default {
  fault: 'Of several things with one ending, any is taken.',
  file: 'src/trace/index/resolve-id.ts',
  find: 'candidates.length === 1',
  replace: 'candidates.length > 0',
  test: 'test/suffixes.test.ts',
  name: 'refuses the end of several',
} satisfies Control
