import type { Control } from './control.ts'

export default {
  fault: 'A commit whose marker the coordinator left out holds back readers for ever.',
  file: 'src/drivers/kafka/transactional-producer.ts',
  find: 'if (newest) await this.#completeMarkers(newest)',
  replace: '',
  test: 'src/drivers/kafka/marker-repair.test.ts',
  name: 'committed: true',
} satisfies Control
