import { useNavigate } from '@tanstack/react-router'
import { Dialog as Base } from '@base-ui/react/dialog'
import { useMemo, useState, type KeyboardEvent } from 'react'
import { useQuery } from '@tanstack/react-query'
import { infoQuery } from '../api/queries.ts'
import { Icon, type IconName } from '../ui/icon.tsx'
import { changeSettings, shownTheme, useSettings } from './settings.ts'
import { views } from './views.ts'
import popup from '../ui/popup.module.css'
import styles from './command-palette.module.css'

interface Command {
  readonly name: string
  readonly about?: string
  readonly icon: IconName
  run(): void
}

const maxShown = 12

/** ⌘K: every view, agent, tool and workflow by name, and any id of an event, task or correlation. */
export function CommandPalette({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Base.Root open={open} onOpenChange={isOpen => !isOpen && onClose()}>
      <Base.Portal>
        <Base.Backdrop className={popup.backdrop} />
        <Base.Popup className={styles.palette} aria-label="Go to">
          {open && <Commands onClose={onClose} />}
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  )
}

function Commands({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState('')
  const [at, setAt] = useState(0)
  const found = useCommands(text.trim()).slice(0, maxShown)
  const active = Math.min(at, found.length - 1)
  const run = (command: Command | undefined) => {
    onClose()
    command?.run()
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step !== undefined) setAt(Math.max(0, Math.min(found.length - 1, active + step)))
    else if (event.key === 'Enter') run(found[active])
    else return
    event.preventDefault()
  }
  return (
    <>
      <div className={styles.input}>
        <Icon name="search" />
        <input
          autoFocus
          role="combobox"
          aria-expanded
          aria-controls="commands"
          aria-activedescendant={`command-${active}`}
          aria-label="Go to a view, name or id"
          placeholder="A view, a name, or any id"
          value={text}
          onChange={event => {
            setText(event.target.value)
            setAt(0)
          }}
          onKeyDown={onKeyDown}
        />
      </div>
      <ul id="commands" role="listbox" aria-label="Commands" className={styles.list}>
        {found.map((command, index) => (
          <li
            key={command.name + command.about}
            id={`command-${index}`}
            role="option"
            aria-selected={index === active}
            className={styles.item}
            onPointerMove={() => setAt(index)}
            onClick={() => run(command)}
          >
            <Icon name={command.icon} />
            {command.name}
            {command.about !== undefined && <span className={styles.about}>{command.about}</span>}
          </li>
        ))}
      </ul>
    </>
  )
}

function useCommands(text: string): Command[] {
  const navigate = useNavigate()
  const { zone } = useSettings()
  const { data: info } = useQuery(infoQuery)
  const commands = useMemo(() => {
    const go = (to: string, search: Record<string, string> = {}) => void navigate({ to, search })
    return [
      ...views.map(({ to, icon, name, key }) => ({ name, about: `view, g ${key}`, icon, run: () => go(to) })),
      { name: 'Open an exported slice', about: 'offline', icon: 'file' as const, run: () => go('/offline') },
      ...(info?.agents ?? []).map(({ name }) => named(name, 'agent', 'user', () => go('/tasks', { program: name }))),
      ...(info?.workflows ?? []).map(({ name }) => named(name, 'workflow', 'workflow', () => go(`/workflows/${name}`))),
      ...(info?.tools ?? []).map(({ name }) =>
        named(name, 'tool', 'operations', () => go('/live', { source: `/tools/${name}` })),
      ),
      ...(info?.types ?? []).map(({ type }) => named(type, 'event type', 'live', () => go('/live', { type }))),
      {
        name: shownTheme() === 'dark' ? 'Light theme' : 'Dark theme',
        icon: 'sun' as const,
        run: () => changeSettings({ theme: shownTheme() === 'dark' ? 'light' : 'dark' }),
      },
      {
        name: zone === 'utc' ? 'Local time' : 'Times in UTC',
        icon: 'clock' as const,
        run: () => changeSettings({ zone: zone === 'utc' ? 'local' : 'utc' }),
      },
    ] satisfies Command[]
  }, [navigate, info, zone])
  const matching = commands.filter(({ name }) => name.toLowerCase().includes(text.toLowerCase()))
  return isIdLike(text) ? [idCommand(text, to => void navigate({ to })), ...matching] : matching
}

const named = (name: string, about: string, icon: IconName, run: () => void): Command => ({ name, about, icon, run })

const isIdLike = (text: string) => /^[0-9a-z][0-9a-z.:@-]{3,}$/i.test(text) && /\d/.test(text)

/** The page that finds what an id or the end of it means. */
const idCommand = (id: string, go: (to: string) => void): Command => ({
  name: `Go to ${id}`,
  about: 'event, task or correlation',
  icon: 'link',
  run: () => go(`/find/${encodeURIComponent(id)}`),
})
