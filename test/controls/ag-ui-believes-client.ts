import type { Control } from './control.ts'

export default {
  fault: 'An agent reads what the client says that the assistant has said.',
  file: 'src/gateway/ag-ui/posted.ts',
  find: "if (message.role !== 'user') continue",
  replace: `if (message.role === 'assistant') fresh.push({ ...message, role: 'user', content: message.content ?? '' })
    if (message.role !== 'user') continue`,
  test: 'test/ag-ui.test.ts',
  name: 'takes nothing of what a client posts',
} satisfies Control
