import type { Control } from './control.ts'

export default {
  fault: 'The ledger of a folder keeps the names of its files in clear.',
  file: 'src/triggers/files/watch.ts',
  find: 'this.#records.set(key, { path: onLog, id, stamp: state.stamp })',
  replace: 'this.#records.set(key, { path: onLog && path, id, stamp: state.stamp })',
  test: 'test/redaction/holes.test.ts',
  name: 'the name of a file',
} satisfies Control
