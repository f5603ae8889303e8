import type { Control } from './control.ts'

export default {
  fault: 'A message that is delivered twice is read twice by the agent that took the conversation over.',
  file: 'src/agents/loop-state.ts',
  find: 'export const hasTaken = ({ said = [] }: LoopState, { id, call = id }: CloudEvent) => said.includes(call)',
  replace: 'export const hasTaken = ({ said = [] }: LoopState, { id }: CloudEvent) => said.includes(id)',
  test: 'src/agents/messages.test.ts',
  name: 'however often it was forwarded',
} satisfies Control
