import type { Control } from './control.ts'

export default {
  fault:
    'Each correlation of a publishRedrive has a replay of its own, so that what met in a workflow instance never meets again.',
  file: 'src/replay/redrive.ts',
  find: 'replay: run.replay,',
  replace: 'replay: `redrive/${counterpart(correlationid, run.id)}`,',
  test: 'test/workflows/redrive.test.ts',
} satisfies Control
