import type { Control } from './control.ts'

export default {
  fault: 'EventSource.onmessage never fires.',
  file: 'src/gateway/streams/stream-client.ts',
  find: 'this.#options.request.isUnnamed ? frame.unnamed : frame.bytes',
  replace: 'this.#options.request.isUnnamed ? frame.bytes : frame.bytes',
  test: 'src/gateway/streams/browser.test.ts',
  name: 'onmessage receives every type',
} satisfies Control
