import type { Control } from './control.ts'

export default {
  fault: "The stream of the gateway shows clients where the user's code stands.",
  file: 'src/gateway/frames.ts',
  find: 'JSON.stringify(shownOutside(event))',
  replace: 'JSON.stringify(position < 0 ? shownOutside(event) : event)',
  test: 'test/stack.test.ts',
  name: 'stream',
} satisfies Control
