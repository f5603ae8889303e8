import type { Control } from './control.ts'

export default {
  fault: 'Text that a declared path covers on the log is streamed in clear.',
  file: 'src/models/text-stream.ts',
  find: `if (this.#hidden.has(kind)) return`,
  replace: ``,
  test: 'test/text-in-flight.test.ts',
  name: 'streams nothing that a declared path covers',
} satisfies Control
