import type { Control } from './control.ts'

export default {
  fault: 'A model is not told why the agent that it called failed.',
  file: 'src/models/messages.ts',
  find: 'value: { code, message } } }',
  replace: 'value: { code, message: message.slice(message.length) } } }',
  test: 'test/agents-in-agents.test.ts',
  name: 'gets their answers and failures',
} satisfies Control
