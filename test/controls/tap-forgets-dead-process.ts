import type { Control } from './control.ts'

export default {
  fault: 'The open calls of a process that died stay open until its lease ends.',
  file: 'src/taps/instances.ts',
  find: 'return until < now || (host === hostId && startTimeOf(pid) !== started)',
  replace: "return until < now && (host === '' || pid === 0 || started === '')",
  test: 'src/taps/recorder.test.ts',
  name: 'a process that died leaves its open calls',
} satisfies Control
