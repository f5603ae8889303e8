import type { Control } from './control.ts'

export default {
  fault: 'A replay whose reader goes away is green.',
  file: 'src/cli/command.ts',
  find: 'process.exit(process.exitCode)',
  replace: 'process.exit(0)',
  test: 'test/replay/gate.test.ts',
  name: 'on sqlite .*reader',
} satisfies Control
