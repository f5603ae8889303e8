import { HttpTap } from '../taps/http/http-tap.ts'
import { usageError } from './output.ts'
import { runTapProxy, type TapProxyOptions } from './tap-proxy.ts'

export interface TapHttpOptions extends TapProxyOptions {
  route?: string[]
  maxBody?: number
}

export async function tapHttpCommand({ route: routes = [], maxBody, ...options }: TapHttpOptions): Promise<void> {
  if (routes.length === 0) throw usageError("expected the routes to record, as in --route 'POST /reports'")
  await runTapProxy(options, recorder => new HttpTap(recorder, { ...options, routes, maxBodyBytes: maxBody }))
}
