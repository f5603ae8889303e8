import type { Control } from './control.ts'

export default {
  fault: 'A reader does not follow the last partition.',
  file: 'src/drivers/nats/following.ts',
  find: 'this.#followers = log.partitions.map(',
  replace: 'this.#followers = log.partitions.slice(0, 2).map(',
  test: 'test/nats/partitions.test.ts',
  name: 'are all followed',
} satisfies Control
