import type { Control } from './control.ts'

export default {
  fault: 'Messages of a WebSocket are never compressed.',
  file: 'src/gateway/streams/frames.ts',
  find: 'plain.length >= minCompressedBytes',
  replace: 'plain.length >= minCompressedBytes * 1e6',
  test: 'src/gateway/streams/socket.test.ts',
  name: 'compressed once',
} satisfies Control
