import type { Control } from './control.ts'

export default {
  fault:
    'On NATS, an entry that is parked again before the call ends does not count as redelivered, and the command says that there is none.',
  file: 'src/drivers/nats/deferred-deliveries.ts',
  find: '(await this.#log.state.remove(stored.seq)) || !duplicate',
  replace: '(await this.#log.state.remove(stored.seq)) && duplicate !== undefined',
  test: 'test/nats/parked-again.test.ts',
  name: 'counts entries that are parked again',
} satisfies Control
