import type { Control } from './control.ts'

export default {
  fault: 'What caused several branches of a join is shown in each of them.',
  file: 'src/trace/reasons.ts',
  find: '      if (this.#seen.has(cause))\n',
  replace: '      if (chain.some(link => link.event.id === cause))\n',
  test: 'test/show.test.ts',
  name: 'on sqlite .*each answer that a join',
} satisfies Control
