import type { Control } from './control.ts'

export default {
  fault: 'The short id of a list, with turns as numbers, is not taken.',
  file: 'src/trace/short-id.ts',
  find: "turn.padStart(7, '0')",
  replace: 'turn',
  test: 'src/trace/short-id.test.ts',
} satisfies Control
