import type { Control } from './control.ts'

export default {
  fault: 'The open calls of a process that died stay open until its lease ends.',
  file: 'src/taps/instances.ts',
  find: 'host === hostId && startTimeOf(pid) !== started',
  replace: 'host === hostId && startTimeOf(pid) === started && pid < 0',
  test: 'src/taps/recorder.test.ts',
  name: 'a process that died leaves its open calls',
} satisfies Control
