import type { Control } from './control.ts'

export default {
  fault: 'A purge of a log on Kafka removes the turn of a snapshot, and a copy loses the state of the task.',
  file: 'src/drivers/kafka/kafka-tasks.ts',
  find: 'turnId(task, snapshotOf(index, task)?.version ?? 1)',
  replace: 'turnId(task, (snapshotOf(index, task)?.version ?? 0) + 1)',
  test: 'src/drivers/kafka/kafka.test.ts',
  name: 'a purged log moves',
} satisfies Control
