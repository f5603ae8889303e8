import type { Control } from './control.ts'

export default {
  fault: 'A stream of a user that is resumed after its gateway died begins at the end of the log.',
  file: 'src/gateway/streams/streams.ts',
  find: 'const cursor = after ?? (correlation',
  replace: 'const cursor = (correlation && after) ?? (correlation',
  test: 'test/gateway-kills/gateway-kills.test.ts',
  name: 'on sqlite',
} satisfies Control
