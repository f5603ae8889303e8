import type { Control } from './control.ts'

export default {
  fault: 'Anybody outside can publish a mail that a mail server never saw.',
  file: 'src/bus/admit.ts',
  find: '  if (Object.hasOwn(triggers, type))\n    throw',
  replace: '  if (Number.isNaN(1))\n    throw',
  test: 'test/ids.test.ts',
  name: 'types of triggers are refused',
} satisfies Control
