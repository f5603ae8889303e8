import { Link, Outlet, useLocation, useNavigate } from '@tanstack/react-router'
import { useQuery } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { infoQuery } from '../api/queries.ts'
import { useRefused } from '../api/reachability.ts'
import { Button } from '../ui/button.tsx'
import { Icon } from '../ui/icon.tsx'
import { OperationDialogs } from '../views/operations/operation-dialogs.tsx'
import { CommandPalette } from './command-palette.tsx'
import { useHotkeys } from './hotkeys.ts'
import { InboxCount } from './inbox-count.tsx'
import { changeSettings, shownTheme, useSettings } from './settings.ts'
import { SignIn } from './sign-in.tsx'
import { UnreachableNotice } from './unreachable-notice.tsx'
import { views } from './views.ts'
import styles from './shell.module.css'

/** Navigation beside the view. */
export function Shell() {
  const isRefused = useRefused()
  const [paletteOpen, setPaletteOpen] = useState(false)
  const navigate = useNavigate()
  useHotkeys({
    'mod+k': () => setPaletteOpen(true),
    ...Object.fromEntries(views.map(({ to, key }) => [`g ${key}`, () => void navigate({ to })])),
  })
  const { pathname } = useLocation()
  // A slice needs neither a server nor a credential.
  const isSlice = pathname.endsWith('/offline')
  const nav = useRef<HTMLElement>(null)
  // On a phone not all links have room.
  useEffect(() => {
    nav.current?.querySelector('[data-status=active]')?.scrollIntoView({ block: 'nearest' })
  }, [pathname])
  if (isRefused && !isSlice) return <SignIn />
  return (
    <div className={styles.shell}>
      <a className={styles.skip} href="#content">
        Skip to the view
      </a>
      <nav ref={nav} className={styles.nav} aria-label="Views">
        <Link to="/live" className={styles.brand}>
          <Logo />
          <span className={styles.text}>Tidings</span>
        </Link>
        <button type="button" className={`${styles.link} ${styles.search}`} onClick={() => setPaletteOpen(true)}>
          <Icon name="search" />
          <span className={styles.text}>Go to …</span>
          <kbd>{isMac ? '⌘K' : 'Ctrl K'}</kbd>
        </button>
        {views.map(({ to, icon, name, key }) => (
          <Link key={to} to={to} className={styles.link} title={`${name} (g ${key})`}>
            <Icon name={icon} />
            <span className={styles.text}>{name}</span>
            {to === '/inbox' && <InboxCount className={styles.count} />}
          </Link>
        ))}
        <div className={styles.space} />
        <Foot />
      </nav>
      <div className={styles.content} id="content">
        {!isSlice && <UnreachableNotice />}
        <Outlet />
      </div>
      <OperationDialogs />
      <CommandPalette open={paletteOpen} onClose={() => setPaletteOpen(false)} />
    </div>
  )
}

const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent)

function Logo() {
  return (
    <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true" style={{ flex: 'none' }}>
      <rect width="32" height="32" rx="8" fill="var(--accent-soft)" />
      <path
        d="M6 20c3.3 0 3.3-8 6.7-8s3.3 8 6.6 8 3.3-8 6.7-8"
        fill="none"
        stroke="var(--accent)"
        strokeWidth="3"
        strokeLinecap="round"
      />
    </svg>
  )
}

function Foot() {
  const { data } = useQuery(infoQuery)
  const { zone } = useSettings()
  const theme = shownTheme()
  return (
    <div className={styles.foot}>
      {data && (
        <div className={styles.who} title={`${data.log.bus}: ${data.log.durability.detail}`}>
          {data.principal.user ?? 'you'} · {data.principal.tenant}
          <br />
          Tidings {data.version} on {data.log.bus}
        </div>
      )}
      <div className={styles.toggles}>
        <Button
          look="quiet"
          icon
          aria-label={theme === 'dark' ? 'Light theme' : 'Dark theme'}
          title={theme === 'dark' ? 'Light theme' : 'Dark theme'}
          onClick={() => changeSettings({ theme: theme === 'dark' ? 'light' : 'dark' })}
        >
          <Icon name={theme === 'dark' ? 'sun' : 'moon'} />
        </Button>
        <Button
          look="quiet"
          title="Times in this time zone or in UTC"
          onClick={() => changeSettings({ zone: zone === 'utc' ? 'local' : 'utc' })}
        >
          <Icon name="clock" />
          <span className={styles.text}>{zone === 'utc' ? 'UTC' : 'Local time'}</span>
        </Button>
      </div>
    </div>
  )
}
