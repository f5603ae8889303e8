import type { Control } from './control.ts'

export default {
  fault: 'Reasoning is not given back to the model.',
  file: 'src/models/messages.ts',
  find: "return part.redacted ? [] : [{ type: 'reasoning', text: part.text ?? reasoning ?? '', ...options }]",
  replace: 'return []',
  test: 'test/models/thinking.test.ts',
  name: 'on sqlite .* wants its reasoning back',
} satisfies Control
