import type { Control } from './control.ts'

export default {
  fault: 'A delivery whose event was purged on NATS has no place on another log, and the log cannot be copied.',
  file: 'src/drivers/nats/transfer/export-log.ts',
  find: '  yield* purgedEvents(context, ids)\n',
  replace: '',
  test: 'src/drivers/nats/nats.test.ts',
  name: 'a purged log moves',
} satisfies Control
