import type { Control } from './control.ts'

export default {
  fault: 'What workers say to the gateway reaches the clients of its streams.',
  file: 'src/gateway/streams/fanout.ts',
  find: '  presenceType,\n',
  replace: '',
  test: 'test/operator-views.test.ts',
  name: '/workers lists',
} satisfies Control
