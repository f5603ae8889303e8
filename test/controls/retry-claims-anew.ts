import type { Control } from './control.ts'

export default {
  fault: 'A claimed call without a result is started again by a retry.',
  file: 'src/tasks/earlier-result.ts',
  find: 'id: claimId(idempotencyKeyOf(event)),',
  replace: 'id: claimId(event.id),',
  test: 'test/retry.test.ts',
  name: 'claimed call twice',
} satisfies Control
