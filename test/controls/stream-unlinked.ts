import type { Control } from './control.ts'

export default {
  fault: 'A stream of a correlation, while it is open, carries nothing of the workflow instance that it feeds.',
  file: 'src/gateway/streams/fanout.ts',
  find: 'const feeder = await this.#frames.feederOf(entry)',
  replace: 'const feeder = await Promise.resolve<string | undefined>(undefined)',
  test: 'test/workflows/linked.test.ts',
  name: 'are one stream',
} satisfies Control
