import type { Control } from './control.ts'

export default {
  fault: 'A retry is nowhere on the log.',
  file: 'src/bus/retries.ts',
  find: '...(!isSilent && { events: await bus.encodeAll([event]) }),',
  replace: '...(isSilent && { events: await bus.encodeAll([event]) }),',
  test: 'test/models/outage.test.ts',
  name: 'on sqlite .* each retry is on the log',
} satisfies Control
