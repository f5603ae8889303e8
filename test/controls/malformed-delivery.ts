import type { Control } from './control.ts'

export default {
  fault: 'One row of the embedded log that holds no event ends every worker that is handed it.',
  file: 'src/drivers/sqlite/consumers.ts',
  find: 'readDelivery(row as string, () => this.#log.whereabouts(position))',
  replace: '{ event: JSON.parse(row as string), problem: undefined }',
  test: 'test/sqlite-malformed.test.ts',
} satisfies Control
