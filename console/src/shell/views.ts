import type { IconName } from '../ui/icon.tsx'

/** The views, in the order of the navigation. */
export const views: readonly {
  readonly to: string
  readonly icon: IconName
  readonly name: string
  readonly key: string
}[] = [
  { to: '/live', icon: 'live', name: 'Live', key: 'l' },
  { to: '/traces', icon: 'trace', name: 'Traces', key: 't' },
  { to: '/tasks', icon: 'tasks', name: 'Tasks', key: 's' },
  { to: '/workflows', icon: 'workflow', name: 'Workflows', key: 'w' },
  { to: '/inbox', icon: 'inbox', name: 'Inbox', key: 'i' },
  { to: '/attention', icon: 'warning', name: 'Attention', key: 'n' },
  { to: '/health', icon: 'health', name: 'Health', key: 'h' },
  { to: '/operations', icon: 'operations', name: 'Operations', key: 'o' },
  { to: '/ask', icon: 'ask', name: 'Ask', key: 'a' },
]
