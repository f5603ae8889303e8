import type { Control } from './control.ts'

export default {
  fault: 'The files of a folder that is moved out and back are not announced again.',
  file: 'src/triggers/files/watch.ts',
  find: 'state.stamp, this.#records.removalOf(key))',
  replace: 'state.stamp)',
  test: 'src/triggers/files/moved-back.test.ts',
} satisfies Control
