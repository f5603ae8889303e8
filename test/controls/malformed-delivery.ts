import type { Control } from './control.ts'

export default {
  fault: 'A malformed row of the embedded log ends each worker that receives it.',
  file: 'src/drivers/sqlite/consumer-registry.ts',
  find: 'readDelivery(json, () => this.#log.locationOf(position))',
  replace: '{ event: JSON.parse(json), problem: undefined }',
  test: 'test/sqlite-malformed.test.ts',
} satisfies Control
