import { Hono } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { prometheusText, prometheusType } from '../bus/telemetry/prometheus.ts'
import { errorResponse, httpError } from '../http/response.ts'
import { agUiRoutes } from './ag-ui/routes.ts'
import { apiRoutes } from './api/routes.ts'
import { consoleRoutes } from './console/routes.ts'
import { chatRoutes } from './chat/routes.ts'
import { blobRoutes } from './commands/blobs.ts'
import { operationRoutes } from './commands/operations.ts'
import { commandRoutes } from './commands/routes.ts'
import { taskRoutes } from './commands/tasks.ts'
import { threadRoutes } from './threads/routes.ts'
import type { GatewayContext, GatewayDeps, GatewayEnv } from './context.ts'
import { HealthCheck } from './health.ts'
import { guard } from './identity/guard.ts'
import { assertMay } from './identity/principal.ts'
import { challengeOf, protectedResourceRoutes } from './mcp/protected-resource.ts'
import { mcpRoutes } from './mcp/routes.ts'
import { ticketRoutes } from './identity/routes.ts'
import { isStreamPath } from './stream-paths.ts'
import { streamRoutes } from './streams/routes.ts'
import { attentionRoutes } from './views/attention.ts'
import { budgetRoutes } from './views/budgets.ts'
import { correlationRoutes } from './views/correlations.ts'
import { eventRoutes } from './views/events.ts'
import { healthRoutes } from './views/health.ts'
import { infoRoutes } from './views/info.ts'
import { sliceRoutes } from './views/slice.ts'
import { findRoutes } from './views/find.ts'
import { taskListRoutes } from './views/tasks.ts'
import { usageRoutes } from './views/usage.ts'
import { withinTime } from './views/within-time.ts'
import { workflowRoutes } from './views/workflows.ts'

export function routes(given: GatewayDeps): Hono<GatewayEnv> {
  const { index } = given
  const deps = { ...given, index: { query: withinTime(index.query), behind: () => index.behind() } }
  const { bus } = deps
  const health = new HealthCheck(bus)
  const app = new Hono<GatewayEnv>()

  // Before the guard: these files contain no data, and a person who must sign in does it there.
  const pages = consoleRoutes()
  app.route('/', pages)
  app.use(guard(deps))
  // Hono answers HEAD by the route of GET, and these would never end.
  app.use(async (c, next) => (c.env.incoming.method === 'HEAD' && isStreamPath(c.req.path) ? c.notFound() : next()))

  app.get('/health', async c => {
    const found = await health.check()
    const shown = c.var.principal.may('operate') ? found : { status: found.status }
    return found.status === 'ok' ? c.json(shown) : c.json(shown, 503, { 'retry-after': '1' })
  })
  app.get('/metrics', async c => {
    assertMay(c.var.principal, 'operate')
    return c.body(await prometheusText(), 200, { 'content-type': prometheusType })
  })
  app.route('/', streamRoutes(deps))
  app.route('/', commandRoutes(deps))
  app.route('/', taskRoutes(deps))
  app.route('/', operationRoutes(deps))
  app.route('/', blobRoutes(deps))
  app.route('/', threadRoutes(deps))
  app.route('/', ticketRoutes(deps))
  app.route('/', chatRoutes(deps))
  app.route('/', agUiRoutes(deps))
  app.route('/', eventRoutes(deps))
  app.route('/', correlationRoutes(deps))
  app.route('/', taskListRoutes(deps))
  app.route('/', findRoutes(deps))
  app.route('/', usageRoutes(deps))
  app.route('/', infoRoutes(deps))
  app.route('/', healthRoutes(deps))
  app.route('/', attentionRoutes(deps))
  app.route('/', budgetRoutes(deps))
  app.route('/', workflowRoutes(deps))
  app.route('/', sliceRoutes(deps))
  app.route('/', apiRoutes(deps))
  app.route('/', protectedResourceRoutes(deps))
  app.route('/', mcpRoutes(deps))

  const known = knownRoutes(app).filter(({ path }) => !pages.routes.some(page => page.path === path))
  app.notFound(c => notFound(deps, c, known))
  app.onError((error, c) => respond(deps, c, error))
  return app
}

interface KnownRoute {
  readonly method: string
  readonly path: string
  matches(path: string): boolean
}

function knownRoutes(app: Hono<GatewayEnv>): KnownRoute[] {
  return app.routes
    .filter(({ method }) => method !== 'ALL')
    .map(({ method, path }) => {
      const form = new RegExp(`^${path.replace(/:\w+/g, '[^/]+')}$`)
      return { method, path, matches: given => form.test(given) }
    })
}

function notFound(deps: GatewayDeps, c: GatewayContext, known: readonly KnownRoute[]) {
  const { path } = c.req
  const allow = known.filter(route => route.matches(path)).map(({ method }) => method)
  if (allow.length > 0) {
    const methods = allow.join(', ')
    return respond(deps, c, httpError(405, `${path} accepts only ${methods}`), { allow: methods })
  }
  const paths = known.map(route => `${route.method} ${route.path}`).join(', ')
  const text = `${path.slice(0, 80)} does not exist; expected ${paths}`
  return respond(deps, c, httpError(404, text, { code: 'E_NOT_FOUND', next: 'Correct the path of the request.' }))
}

function respond({ bus, identity }: GatewayDeps, c: GatewayContext, error: unknown, more: Record<string, string> = {}) {
  const { status, body, headers } = errorResponse(error, bus.redactor)
  const challenge = challengeOf(c, identity, status)
  const extra = {
    ...(challenge !== undefined && { 'www-authenticate': challenge }),
    // The rest of the body is not read, so the connection cannot be used again.
    ...(status === 413 && { connection: 'close' }),
  }
  return c.json(body, status as ContentfulStatusCode, { ...headers, ...extra, ...more })
}
