import { useNavigate, useSearch } from '@tanstack/react-router'

/** What the URL says after the `?`: the state of a view. */
export type SearchParams = Readonly<Record<string, string | undefined>>

/** The state of the view, and a function that changes it. An empty value removes the parameter. `replace`: without an entry in the history. */
export function useUrlState(): [SearchParams, (change: SearchParams, replace?: boolean) => void] {
  const params: SearchParams = useSearch({ strict: false })
  const navigate = useNavigate()
  const change = (changed: SearchParams, replace = false) =>
    void navigate({
      to: '.',
      search: (before: SearchParams) => withoutEmpty({ ...before, ...changed }),
      replace,
    })
  return [params, change]
}

const withoutEmpty = (params: SearchParams): SearchParams =>
  Object.fromEntries(Object.entries(params).filter(([, value]) => value !== undefined && value !== ''))
