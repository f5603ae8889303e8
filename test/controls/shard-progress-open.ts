import type { Control } from './control.ts'

export default {
  fault: 'A checkpoint of a partial reading forgets turns whose events are missing.',
  file: 'src/drivers/nats/owned-shard.ts',
  find: 'open: unfinished!.open',
  replace: 'open: []',
  test: 'test/nats/short-lived-owners.test.ts',
} satisfies Control
