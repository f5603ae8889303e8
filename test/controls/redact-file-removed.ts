import type { Control } from './control.ts'

export default {
  fault: 'A file whose name is hidden is never seen to be removed after a restart.',
  file: 'src/triggers/files/watch.ts',
  find: 'if (isComplete || !isMissing) this.#enqueueAs(key, path, isMissing)',
  replace: 'this.#enqueue(path)',
  test: 'test/redaction/holes.test.ts',
  name: 'the name of a file',
} satisfies Control
