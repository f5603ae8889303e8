import { TidingsError } from '../../errors.ts'

/** A named route, and the parameters of a request that matches it. */
export interface RouteMatch {
  /** As it was declared, such as `GET /reports/:id`; with the method of the request if it was declared for all methods. */
  readonly route: string
  readonly params: Readonly<Record<string, string>>
}

interface Route {
  readonly method: string | undefined
  readonly path: string
  readonly segments: readonly string[]
}

/** The routes that a tap records. The first one that matches counts. */
export class Routes {
  readonly #routes: readonly Route[]

  /**
   * `declared`: `POST /reports`, `GET /reports/:id`, `/files/*`. `:name` is one segment of the path, a final `*` is all that follows; without a
   * method it is every method.
   * @throws E_SETTING_INVALID
   */
  constructor(declared: readonly string[]) {
    this.#routes = declared.map(routeOf)
  }

  /** `path`: of the request, without the query. */
  match(method: string, path: string): RouteMatch | undefined {
    const given = segmentsOf(path)
    for (const route of this.#routes) {
      if (route.method !== undefined && route.method !== method) continue
      const params = paramsOf(route.segments, given)
      if (params) return { route: `${method} ${route.path}`, params }
    }
    return undefined
  }
}

function routeOf(text: string): Route {
  const [, method, path] = /^(?:([A-Za-z]+) +)?(\/[^\s?#]*)$/.exec(text.trim()) ?? []
  const segments = segmentsOf(path ?? '')
  const names = segments.filter(each => each.startsWith(':'))
  const isSound =
    names.every(name => /^:\w+$/.test(name)) &&
    new Set(names).size === names.length &&
    segments.every((each, i) => each !== '*' || i === segments.length - 1)
  if (path === undefined || !isSound)
    throw new TidingsError(
      'E_SETTING_INVALID',
      `"${text}" is not a route: expected one such as "GET /reports/:id" or "/files/*"`,
    )
  return { method: method?.toUpperCase(), path, segments }
}

const segmentsOf = (path: string) => path.split('/').filter(each => each !== '')

function paramsOf(segments: readonly string[], given: readonly string[]): Record<string, string> | undefined {
  const hasRest = segments.at(-1) === '*'
  const fixed = hasRest ? segments.slice(0, -1) : segments
  if (hasRest ? given.length < fixed.length : given.length !== fixed.length) return undefined
  const params: Record<string, string> = {}
  for (const [i, segment] of fixed.entries()) {
    const value = decoded(given[i]!)
    if (segment.startsWith(':')) params[segment.slice(1)] = value
    else if (segment !== given[i] && decoded(segment) !== value) return undefined
  }
  if (hasRest) params['*'] = given.slice(fixed.length).join('/')
  return params
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
