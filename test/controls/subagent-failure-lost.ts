import type { Control } from './control.ts'

export default {
  fault: 'A model that called an agent gets null when the task of that agent fails.',
  file: 'src/models/messages.ts',
  find: "if ('error' in outcome) {",
  replace: 'if (false as boolean) {',
  test: 'test/agents-in-agents.test.ts',
  name: 'gets their answers and failures',
} satisfies Control
