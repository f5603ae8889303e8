export {
  startTap,
  type BusHolder,
  type StartTapOptions,
  type Tap,
  type TapFetchOptions,
  type TapTransportOptions,
} from './library/tap.ts'
export type { HttpTapOptions } from './http/http-tap.ts'
export type { ModelTapOptions } from './model/model-tap.ts'
export type { ModelBudget } from './model/spending-limit.ts'
export type { ModelPrices } from './model/model-prices.ts'
export type { OriginHeaders } from './request-origin.ts'
export type { ExpressMiddleware } from './library/express.ts'
export type { McpTransport } from './library/mcp-transport.ts'
export type { TappedBody, TappedRequest, TappedResponse } from '../bus/tapped-http.ts'
// For those who put a tap into their own server, or record calls of another kind.
export { Recorder, type RecordedCall, type RecorderOptions, type TapCall, type TapStatus } from './recorder.ts'
export type { TapAnswer } from './tap-answer.ts'
export type { TapGap, TappedType } from '../bus/tapped.ts'
export { Forwarder, type ForwardEnd, type ForwardListener, type ResponseHead } from './forward.ts'
export { upstreamOf, type Upstream } from './upstream.ts'
