import type { Control } from './control.ts'

export default {
  fault: 'What an agent listens to is refused as "undefined", without its place.',
  file: 'src/agents/option-checks.ts',
  find: '  on: aTypePattern,',
  replace: '  on: (value: unknown) => (aTypePattern(value) && "must be a type"),',
  test: 'test/definitions.test.ts',
  name: 'an event type',
} satisfies Control
