import type { Control } from './control.ts'

export default {
  fault: "The stream of the gateway shows clients where the user's code stands.",
  file: 'src/gateway/streams/frames.ts',
  find: 'JSON.stringify(withoutStacks(event))',
  replace: 'JSON.stringify(event.id.length === 0 ? withoutStacks(event) : event)',
  test: 'test/stack.test.ts',
  name: 'stream',
} satisfies Control
