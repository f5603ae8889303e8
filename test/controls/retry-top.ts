import type { Control } from './control.ts'

export default {
  fault: 'tidings top does not count retries.',
  file: 'src/trace/rates.ts',
  find: 'retries: retries.get(name)?.length ?? 0',
  replace: 'retries: 0',
  test: 'src/trace/rates.test.ts',
  name: 'attempts that failed and are retried',
} satisfies Control
