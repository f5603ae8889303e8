import type { Control } from './control.ts'

export default {
  fault: 'A call waits for a tool whose workers are gone, and nobody says so.',
  file: 'src/trace/attention/unhosted.ts',
  find: 'if (isKnown && (await hasWorker(bus, what, target))) continue',
  replace: 'if (isKnown && ((await hasWorker(bus, what, target)) || what)) continue',
  test: 'test/unhosted.test.ts',
  name: 'on sqlite',
} satisfies Control
