import type { Control } from './control.ts'

export default {
  fault: 'An answer that holds nothing but reasoning is given back, and refused.',
  file: 'src/models/messages.ts',
  find: "else if (message.role !== 'assistant' || message.content.some(isContent)) prompt.push(message)",
  replace: "else if (message.role !== 'assistant' || message.content.some(isContent) || true) prompt.push(message)",
  test: 'test/models/ends.test.ts',
  name: 'on sqlite .* that nothing followed: Anthropic',
} satisfies Control
