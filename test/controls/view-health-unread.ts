import type { Control } from './control.ts'

export default {
  fault: 'The stream of the health of a log shows itself to who may not operate.',
  file: 'src/gateway/views/health.ts',
  find: "      assertMay(principal, 'operate')\n      return sendStream",
  replace: '      return sendStream',
  test: 'test/operator-views.test.ts',
  name: '/health/stream has groups, activity and workers, and since when the oldest call waits',
} satisfies Control
