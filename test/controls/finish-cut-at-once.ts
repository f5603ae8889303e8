import type { Control } from './control.ts'

export default {
  fault: 'A call that was cut off before its first argument is made without any.',
  file: 'src/models/answer.ts',
  find: 'if (isLast && isEmpty) return',
  replace: "if (isLast && isEmpty && input === 'never') return",
  test: 'test/models/ends.test.ts',
  name: 'on sqlite .* before any of them',
} satisfies Control
