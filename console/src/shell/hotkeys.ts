import { useEffect } from 'react'

/** Keys and what they do: `j`, `Escape`, `mod+k` (⌘ or Ctrl), `g l` for one after the other. */
export type Hotkeys = Readonly<Record<string, (event: KeyboardEvent) => void>>

const sequenceMs = 900
let lastKey = { key: '', at: 0 }

/** Calls functions on keys, unless a person types text or a dialog is open. */
export function useHotkeys(keys: Hotkeys): void {
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      const isCommand = event.metaKey || event.ctrlKey
      if (event.altKey || event.defaultPrevented || (!isCommand && isBusy(event.target))) return
      // After g a letter is the name of a view, whatever it does in the view that is open.
      const isSecond = lastKey.key === 'g' && event.timeStamp - lastKey.at < sequenceMs
      const run = keys[isCommand ? `mod+${event.key}` : isSecond ? `g ${event.key}` : event.key]
      if (run) {
        event.preventDefault()
        run(event)
      }
    }
    addEventListener('keydown', onKeyDown)
    return () => removeEventListener('keydown', onKeyDown)
  })
}

// One listener remembers the key before, after all others have seen it.
addEventListener('keydown', ({ key, timeStamp }) => setTimeout(() => (lastKey = { key, at: timeStamp })))

function isBusy(target: EventTarget | null): boolean {
  // A notice is a dialog too, but nobody has to answer it.
  if (document.querySelector('[role=dialog]:not([data-notice])') !== null) return true
  if (!(target instanceof HTMLElement)) return false
  return target.isContentEditable || target.matches('input:not([type=checkbox]), textarea, select')
}
