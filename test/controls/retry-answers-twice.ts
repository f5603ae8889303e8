import type { Control } from './control.ts'

export default {
  fault: 'A call that was made again and answered twice is answered twice in the successor.',
  file: 'src/replay/retry.ts',
  find: '= firstOfEachCall(answers.filter(',
  replace: '= ((all: CloudEvent[]) => all)(answers.filter(',
  test: 'test/retry-once.test.ts',
  name: 'applies one answer',
} satisfies Control
