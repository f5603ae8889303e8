import type { Control } from './control.ts'

export default {
  fault: 'What a worker wrote before it was killed stays before the text of the next attempt.',
  file: 'src/ask/parts.ts',
  find: '...restarts(of, before), ...pieces',
  replace: '...restarts(of, before.slice(before.length)), ...pieces',
  test: 'test/model-kill.test.ts',
  name: 'on sqlite.*killed in mid-text',
} satisfies Control
