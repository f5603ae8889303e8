import { useUrlState } from '../../shell/url-state.ts'

const maxOpen = 6

/** The events that are open beside a list: several at once, in the URL. */
export function useOpenEvents() {
  const [params, change] = useUrlState()
  const open = params.open?.split(',') ?? []
  const set = (ids: readonly string[]) => change({ open: ids.slice(-maxOpen).join(',') }, true)
  return {
    open,
    toggle: (id: string) => set(open.includes(id) ? open.filter(each => each !== id) : [...open, id]),
    close: (id: string) => set(open.filter(each => each !== id)),
    closeAll: () => open.length > 0 && set([]),
  }
}
