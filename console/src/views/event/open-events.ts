import { useUrlState } from '../../shell/url-state.ts'

const maxOpen = 6

export type EventTab = 'payload' | 'attributes' | 'why' | 'effects'

/** The events that are open beside a list: several at once, in the URL, each as its id and, after a semicolon, its tab. */
export function useOpenEvents() {
  const [params, change] = useUrlState()
  const entries = (params.open?.split(',') ?? []).map(entry => entry.split(';') as [id: string, tab?: EventTab])
  const opened = entries.map(([id, tab = 'payload']) => ({ id: decodeURIComponent(id), tab }))
  const set = (changed: typeof opened) =>
    change(
      {
        open: changed
          .slice(-maxOpen)
          .map(({ id, tab }) => entryText(id, tab))
          .join(','),
      },
      true,
    )
  const others = (id: string) => opened.filter(each => each.id !== id)
  return {
    open: opened.map(({ id }) => id),
    tabOf: (id: string): EventTab => opened.find(each => each.id === id)?.tab ?? 'payload',
    toggle: (id: string) => set(opened.length > others(id).length ? others(id) : [...opened, { id, tab: 'payload' }]),
    show: (id: string, tab: EventTab) =>
      set(
        opened.some(each => each.id === id)
          ? opened.map(each => (each.id === id ? { id, tab } : each))
          : [...opened, { id, tab }],
      ),
    close: (id: string) => set(others(id)),
    closeAll: () => opened.length > 0 && set([]),
  }
}

const entryText = (id: string, tab: EventTab) =>
  `${id.replace(/[%,;]/g, encodeURIComponent)}${tab === 'payload' ? '' : `;${tab}`}`
