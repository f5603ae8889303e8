import type { Control } from './control.ts'

export default {
  fault: 'The code of an app writes files in a replay.',
  file: 'src/replay/isolation.ts',
  find: "for (const scope of ['fs.write', 'worker', 'addon'])",
  replace: "for (const scope of ['worker', 'addon'])",
  test: 'test/replay/processes.test.ts',
  name: 'on sqlite .*reaches',
} satisfies Control
