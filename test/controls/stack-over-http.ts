import type { Control } from './control.ts'

export default {
  fault: "The stream of the gateway shows clients where the user's code stands.",
  file: 'src/gateway/without-stacks.ts',
  find: 'const data = withoutStack(event.data)',
  replace: 'const data = event.id.length === 0 ? withoutStack(event.data) : event.data',
  test: 'test/stack.test.ts',
  name: 'stream',
} satisfies Control
