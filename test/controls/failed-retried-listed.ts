import type { Control } from './control.ts'

export default {
  fault: 'A task that was retried stays on the attention list.',
  file: 'src/trace/index/writer.ts',
  find: 'if (settles) this.#sql.settle.run(this.#known(correlation.key, settles)?.key ?? null)',
  replace: 'if (settles) this.#known(correlation.key, settles)',
  test: 'test/retry-many.test.ts',
  name: 'on the attention list',
} satisfies Control
