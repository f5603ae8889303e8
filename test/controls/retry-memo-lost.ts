import type { Control } from './control.ts'

export default {
  fault: 'A member that dies takes the count of retries with it.',
  file: 'src/drivers/sqlite/writer/claim-store.ts',
  find: 'attempts, ?, ?, NULL, memo FROM claims',
  replace: 'attempts, ?, ?, NULL, NULL FROM claims',
  test: 'src/drivers/sqlite/sqlite.test.ts',
  name: 'shared: the memo of a retry',
} satisfies Control
