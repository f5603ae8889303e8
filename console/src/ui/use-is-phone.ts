import { useSyncExternalStore } from 'react'

const narrow = matchMedia('(max-width: 720px)')

/** Whether the page is as narrow as style sheets mean by `max-width: 720px`. */
export const useIsPhone = (): boolean =>
  useSyncExternalStore(
    listener => {
      narrow.addEventListener('change', listener)
      return () => narrow.removeEventListener('change', listener)
    },
    () => narrow.matches,
  )
