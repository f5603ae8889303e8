import type { Control } from './control.ts'

export default {
  fault: 'A message to a task whose answer was lost is sent twice.',
  file: 'src/gateway/commands/tasks.ts',
  find: 'const isStored = isRepeated && (await bus.get(ids[0]!, correlationid)) !== undefined',
  replace: 'const isStored = false',
  test: 'test/client/client.test.ts',
  name: 'asks, says and publishes once',
} satisfies Control
