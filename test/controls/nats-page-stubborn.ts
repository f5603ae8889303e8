import type { Control } from './control.ts'

export default {
  fault: 'A busy server is asked for the same large page again and again, and gets busier.',
  file: 'src/drivers/nats/stream.ts',
  find: 'batch = Math.ceil(batch / 4)',
  replace: '',
  test: 'test/nats/busy-server.test.ts',
  name: 'until it answers',
} satisfies Control
