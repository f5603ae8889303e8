import type { Control } from './control.ts'

export default {
  fault: 'Messages of a WebSocket are never compressed.',
  file: 'src/gateway/streams/encoding.ts',
  find: "format !== 'deflated' ||",
  replace: 'format.length > 0 ||',
  test: 'src/gateway/streams/socket.test.ts',
  name: 'compressed once',
} satisfies Control
