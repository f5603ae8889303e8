import type { Control } from './control.ts'

export default {
  fault: 'On NATS, events that were read lately are shared by all who read them.',
  file: 'src/drivers/nats/recent-events.ts',
  find: 'event: JSON.parse(found.json) as CloudEvent',
  replace: 'event: ((found as { event?: CloudEvent }).event ??= JSON.parse(found.json) as CloudEvent)',
  test: 'test/values/values.test.ts',
  name: 'on nats.*reads the log',
} satisfies Control
