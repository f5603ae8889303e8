import type { Control } from './control.ts'

export default {
  fault: 'A file whose name is hidden is never seen to be removed after a restart.',
  file: 'src/triggers/files/watch.ts',
  find: 'this.#noticeAs(key, path, keyOf(name, path) !== key)',
  replace: 'this.#notice(path)',
  test: 'test/redaction/holes.test.ts',
  name: 'the name of a file',
} satisfies Control
