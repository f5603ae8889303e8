import type { Control } from './control.ts'

export default {
  fault: 'The trace shows no ids.',
  file: 'src/trace/render.ts',
  find: 'id: shortIdOf(event)',
  replace: "id: ''",
  test: 'test/suffixes.test.ts',
  name: 'every verb accepts',
} satisfies Control
