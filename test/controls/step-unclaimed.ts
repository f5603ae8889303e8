import type { Control } from './control.ts'

export default {
  fault: 'An atMostOnce step is started again by the next owner.',
  file: 'src/tasks/steps.ts',
  find: '(options.atMostOnce &&',
  replace: '(options.atMostOnce === undefined &&',
  test: 'test/steps/takeover.test.ts',
  name: 'does not start an atMostOnce step again',
} satisfies Control
