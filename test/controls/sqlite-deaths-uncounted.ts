import type { Control } from './control.ts'

export default {
  fault: 'The deaths of owners of a shard are not counted, so a step that kills its worker runs without end.',
  file: 'src/drivers/sqlite/writer/sharded-cursor.ts',
  find: 'const isRepeated = position <= this.shards.get(shard)!.possiblyDeliveredUpTo',
  replace: 'const isRepeated = false',
  test: 'test/sqlite.test.ts',
  name: 'count the deaths of those that held',
} satisfies Control
