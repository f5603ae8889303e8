import type { Control } from './control.ts'

export default {
  fault: 'An event of the user whose type ends in failed shows its type in place of its data.',
  file: 'src/trace/outcome.ts',
  find: '!isRuntimeType(type) || ',
  replace: '',
  test: 'test/suffixes.test.ts',
  name: 'events of the user',
} satisfies Control
