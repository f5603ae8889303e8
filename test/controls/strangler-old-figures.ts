import type { Control } from './control.ts'

export default {
  fault: 'What led to a rollback is held against the percentage that a person sets afterwards.',
  file: 'src/strangler/rollback-watch.ts',
  find: `    this.#window = this.#window.filter(each => each.until > from && each.version >= version)
    if (!isCutOver(control)) return
    const current = this.#window.filter(each => each.version === version)
`,
  replace: `    this.#window = this.#window.filter(each => each.until > from && version > 0)
    if (!isCutOver(control)) return
    const current = this.#window
`,
  test: 'test/strangler.test.ts',
  name: 'stays there',
} satisfies Control
