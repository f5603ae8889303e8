import type { Control } from './control.ts'

export default {
  fault: 'A name given to pause lies on the log in clear, whatever it is.',
  file: 'src/bus/pauses.ts',
  find: 'if (this.#bus.redactor.knownSecrets(name) !== name)',
  replace: 'if (name === "")',
  test: 'test/redaction/holes.test.ts',
  name: 'what is paused',
} satisfies Control
