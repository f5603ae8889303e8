import type { Control } from './control.ts'

export default {
  fault: 'What was accepted with one value is accepted with any later one.',
  file: 'src/replay/accept.ts',
  find: '!entry.values[path]?.some(rule => allows(rule, value))',
  replace: '!entry.values[path]',
  test: 'src/replay/accept.test.ts',
  name: 'no later one',
} satisfies Control
