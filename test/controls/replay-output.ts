import type { Control } from './control.ts'

export default {
  fault: 'What the app prints is in the output of a replay.',
  file: 'src/replay/process.ts',
  find: "stdio: ['ignore', stderr, stderr, 'ipc', 'pipe']",
  replace: "stdio: ['ignore', 1, stderr, 'ipc', 'pipe']",
  test: 'test/replay/processes.test.ts',
  name: 'on sqlite .*prints',
} satisfies Control
