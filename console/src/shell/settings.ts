import { useSyncExternalStore } from 'react'

/* What a person chose for this browser. */

export interface Settings {
  readonly theme: 'system' | 'dark' | 'light'
  readonly zone: 'local' | 'utc'
}

const key = 'tidings.settings'
const listeners = new Set<() => void>()
const systemIsLight = matchMedia('(prefers-color-scheme: light)')

let settings: Settings = { theme: 'system', zone: 'local', ...read() }

function read(): Partial<Settings> {
  try {
    return JSON.parse(localStorage.getItem(key) ?? '{}') as Partial<Settings>
  } catch {
    return {}
  }
}

export function changeSettings(change: Partial<Settings>): void {
  settings = { ...settings, ...change }
  localStorage.setItem(key, JSON.stringify(settings))
  showTheme()
  for (const listener of listeners) listener()
}

export const useSettings = (): Settings =>
  useSyncExternalStore(
    listener => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => settings,
  )

/** The theme that is shown. */
export const shownTheme = (): 'dark' | 'light' =>
  settings.theme === 'system' ? (systemIsLight.matches ? 'light' : 'dark') : settings.theme

export function showTheme(): void {
  document.documentElement.dataset.theme = shownTheme()
}

systemIsLight.addEventListener('change', showTheme)
