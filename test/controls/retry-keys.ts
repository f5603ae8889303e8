import type { Control } from './control.ts'

export default {
  fault: 'A call that a retry makes again has another idempotency key.',
  file: 'src/replay/retry.ts',
  find: 'reissue.push(key === undefined ? request : { ...request, retryof: key })',
  replace: 'reissue.push(request)',
  test: 'test/retry.test.ts',
  name: 'with its key, and no answered call',
} satisfies Control
