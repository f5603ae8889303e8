import type { Control } from './control.ts'

export default {
  fault: 'Files that a model gives are dropped.',
  file: 'src/models/answer.ts',
  find: "      case 'file':\n      case 'reasoning-file':\n      case 'source':\n        return void this.#parts.push(part)",
  replace:
    "      case 'file':\n      case 'reasoning-file':\n        return\n      case 'source':\n        return void this.#parts.push(part)",
  test: 'test/models/parts.test.ts',
  name: 'on sqlite .* files',
} satisfies Control
