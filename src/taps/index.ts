// For those who put a tap into their own server, or record calls of another kind.
export { Recorder, type RecordedCall, type RecorderOptions, type TapCall, type TapStatus } from './recorder.ts'
export type { TapAnswer } from './tap-answer.ts'
export type { TapGap, TappedType } from '../bus/tapped.ts'
export { Forwarder, type ForwardEnd, type ForwardListener, type ResponseHead } from './forward.ts'
export { upstreamOf, type Upstream } from './upstream.ts'
