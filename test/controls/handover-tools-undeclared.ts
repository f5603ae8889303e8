import type { Control } from './control.ts'

export default {
  fault: 'Anthropic rejects a conversation with calls that an agent without tools took over.',
  file: 'src/models/station.ts',
  find: 'tools.length > 0 ? tools : toolsCalledIn(prompt)',
  replace: 'tools',
  test: 'test/conversations.test.ts',
  name: 'declares the tools that it called',
} satisfies Control
