import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from '@tanstack/react-router'
import { consolePath } from './api/connection.ts'
import { Shell } from './shell/shell.tsx'
import type { SearchParams } from './shell/url-state.ts'
import { Empty, Failure, Loading } from './ui/states.tsx'

const root = createRootRoute({ validateSearch: (search): SearchParams => search as SearchParams })
const shell = createRoute({ getParentRoute: () => root, id: 'shell', component: Shell })

const view = (path: string, load: () => Promise<Record<string, unknown>>, name: string, parent = shell) =>
  createRoute({
    getParentRoute: () => parent,
    path,
    component: lazyRouteComponent(load as () => Promise<Record<string, () => React.JSX.Element>>, name),
  })

const views = shell.addChildren([
  createRoute({
    getParentRoute: () => shell,
    path: '/',
    beforeLoad: () => {
      throw redirect({ to: '/live' })
    },
  }),
  createRoute({
    getParentRoute: () => shell,
    path: '$',
    component: () => <Empty title="This page does not exist">Choose a view, or press ⌘K.</Empty>,
  }),
  view('/live', () => import('./views/live/live.tsx'), 'Live'),
  view('/find/$id', () => import('./views/find/find.tsx'), 'Find'),
  view('/traces', () => import('./views/traces/traces.tsx'), 'Traces'),
  view('/traces/$correlation', () => import('./views/trace/trace.tsx'), 'Trace'),
  view('/health', () => import('./views/health/health.tsx'), 'Health'),
  view('/offline', () => import('./views/offline/offline.tsx'), 'Offline'),
  view('/tasks', () => import('./views/tasks/tasks.tsx'), 'Tasks'),
  view('/tasks/$task', () => import('./views/task/task.tsx'), 'Task'),
  view('/workflows', () => import('./views/workflows/workflows.tsx'), 'Workflows'),
  view('/workflows/$name', () => import('./views/workflows/workflow.tsx'), 'Workflow'),
  view('/inbox', () => import('./views/inbox/inbox.tsx'), 'Inbox'),
  view('/attention', () => import('./views/attention/attention.tsx'), 'Attention'),
  view('/operations', () => import('./views/operations/operations.tsx'), 'Operations'),
  view('/operations/$id', () => import('./views/operations/operations.tsx'), 'Operations'),
])

// End users see no navigation.
const ask = view('/ask', () => import('./views/ask/ask.tsx'), 'Ask', root as unknown as typeof shell)
const routeTree = root.addChildren([views, ask])

/** All values of the URL's query are texts. */
const parseSearch = (text: string): Record<string, string> => Object.fromEntries(new URLSearchParams(text))
const stringifySearch = (search: Record<string, unknown>): string => {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(search)) if (typeof value === 'string') params.set(name, value)
  const text = params.toString()
  return text === '' ? '' : `?${text}`
}

export const router = createRouter({
  routeTree,
  basepath: consolePath,
  parseSearch,
  stringifySearch,
  defaultPreload: 'intent',
  defaultPendingComponent: () => <Loading what="the view" />,
  defaultErrorComponent: ({ error, reset }) => <Failure error={error} retry={reset} />,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
