import type { Control } from './control.ts'

export default {
  fault: 'Thinking stays on where a part of it cannot be given back, and Anthropic refuses the turn.',
  file: 'src/models/station.ts',
  find: 'lacksReasoning(prompt) ? withoutThinking : {}',
  replace: '{}',
  test: 'test/models/redacted.test.ts',
  name: 'on sqlite .* is not given back to Anthropic',
} satisfies Control
