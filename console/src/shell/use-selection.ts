import { useRef } from 'react'
import { useUrlState } from './url-state.ts'

/** An id has up to 60 characters, and servers take addresses up to 16 KiB. */
const maxSelected = 200
const everything = 'all'

/** The selected rows of a list, in the URL. `keys`: those of all rows that are loaded. */
export function useSelection(keys: readonly string[]) {
  const [{ selected = '' }, change] = useUrlState()
  const anchor = useRef<number>(undefined)
  const isAll = selected === everything
  const ids = selected === '' || isAll ? [] : selected.split(',')
  const set = (next: readonly string[]) => change({ selected: next.slice(0, maxSelected).join(',') }, true)
  const chosen = new Set(ids)
  return {
    ids,
    /** Whether everything is selected that the filter of the list matches, also what is not loaded. */
    isAll,
    isSelected: (index: number) => isAll || chosen.has(keys[index]!),
    /** With `range`: everything from the row that was toggled before. */
    toggle(index: number, range = false) {
      const key = keys[index]!
      const from = range ? (anchor.current ?? index) : index
      anchor.current = index
      const between = keys.slice(Math.min(from, index), Math.max(from, index) + 1)
      if (isAll) set(keys.filter(each => each !== key))
      else if (range) set([...new Set([...ids, ...between])])
      else set(chosen.has(key) ? ids.filter(each => each !== key) : [...ids, key])
    },
    selectLoaded: () => set(keys),
    selectAll: () => change({ selected: everything }, true),
    clear: () => change({ selected: '' }, true),
  }
}
