import { useUrlState } from '../../shell/url-state.ts'

/** Which tasks the server lists: the query of `GET /tasks`. */
export interface TaskListFilter {
  readonly program?: string
  readonly state?: string
  /** A duration before now, such as `1h`, or a time. */
  readonly since?: string
  readonly text?: string
  readonly failedWith?: string
}

const names = ['program', 'state', 'since', 'text', 'failedWith'] as const satisfies (keyof TaskListFilter)[]

/** The filter in the URL, and a function for each field that changes it. */
export function useTaskFilter() {
  const [params, change] = useUrlState()
  const filter: TaskListFilter = Object.fromEntries(
    names.flatMap(name => (params[name] === undefined ? [] : [[name, params[name]]])),
  )
  const set = (name: keyof TaskListFilter) => (value: string) => change({ [name]: value, selected: '' }, true)
  return { filter, set }
}
