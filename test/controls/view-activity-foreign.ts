import type { Control } from './control.ts'

export default {
  fault: 'An operator sees what another tenant does.',
  file: 'src/gateway/views/log-activity.ts',
  find: 'this.#rates.get(event.tenant)',
  replace: '[...this.#rates.values()].at(-1)',
  test: 'test/operator-views.test.ts',
  name: '/groups and /activity',
} satisfies Control
