import type { Control } from './control.ts'

export default {
  fault: 'A mirrored request of a strangler has the effects of a real one.',
  file: 'src/ask/client.ts',
  find: '      ...(this.#origin.request?.replay !== undefined && { replay: this.#origin.request.replay }),\n',
  replace: '',
  test: 'test/strangler.test.ts',
  name: 'has no effects',
} satisfies Control
