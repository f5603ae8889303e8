import type { Control } from './control.ts'

export default {
  fault: 'A model that is cut off again and again is asked for ever.',
  file: 'src/agents/model-loop.ts',
  find: 'const isOver = times > maxContinues ||',
  replace: 'const isOver = times > Infinity * maxContinues ||',
  test: 'src/agents/finish.test.ts',
  name: 'after three more pieces',
} satisfies Control
