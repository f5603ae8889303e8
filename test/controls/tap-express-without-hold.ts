import type { Control } from './control.ts'

export default {
  fault: 'A handler of Express answers before its request is on the log.',
  file: 'src/taps/library/express.ts',
  find: 'void exchange.durable().then(proceed)',
  replace: 'proceed()',
  test: 'test/taps/library.test.ts',
  name: 'passed on when',
} satisfies Control
