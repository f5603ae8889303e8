import type { Control } from './control.ts'

export default {
  fault: 'EventSource.onmessage never fires.',
  file: 'src/gateway/streams/encoding.ts',
  find: "format === 'event' ?",
  replace: 'format.length > 0 ?',
  test: 'src/gateway/streams/browser.test.ts',
  name: 'onmessage receives every type',
} satisfies Control
