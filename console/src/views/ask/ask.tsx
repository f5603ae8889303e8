import { Link } from '@tanstack/react-router'
import { useQuery } from '@tanstack/react-query'
import { useEffect } from 'react'
import { infoQuery } from '../../api/queries.ts'
import { useRefused } from '../../api/reachability.ts'
import { changeSettings, shownTheme, useSettings } from '../../shell/settings.ts'
import { SignIn } from '../../shell/sign-in.tsx'
import { UnreachableNotice } from '../../shell/unreachable-notice.tsx'
import { useUrlState } from '../../shell/url-state.ts'
import { Button } from '../../ui/button.tsx'
import { Icon } from '../../ui/icon.tsx'
import { Failure, Loading } from '../../ui/states.tsx'
import { Composer } from './composer.tsx'
import { Earlier } from './earlier.tsx'
import { StoryView } from './story-view.tsx'
import { targetsIn } from './targets.ts'
import styles from './ask.module.css'

/** What an end user of an agent product sees: a question, what becomes of it, and the answer. The URL names the question. */
export function Ask() {
  const info = useQuery(infoQuery)
  const isRefused = useRefused()
  const [{ q, to }, change] = useUrlState()
  useEffect(() => {
    document.title = 'Ask · Tidings'
  }, [])
  if (isRefused) return <SignIn />
  const targets = info.data ? targetsIn(info.data) : []
  const target = targets.find(({ key }) => key === to) ?? targets[0]
  return (
    <div className={styles.page}>
      <div className={styles.notice}>
        <UnreachableNotice />
      </div>
      <Head onNew={() => change({ q: undefined, source: undefined })} asked={q} />
      <main className={styles.main}>
        {q !== undefined && <StoryView key={q} correlation={q} info={info.data} />}
        {q === undefined && info.isPending && <Loading what="what can be asked" />}
        {q === undefined && info.isError && <Failure error={info.error} retry={() => void info.refetch()} />}
        {q === undefined && info.data && (
          <>
            <Composer
              targets={targets}
              target={target}
              onTarget={key => change({ to: key }, true)}
              onAsked={correlation => change({ q: correlation })}
            />
            <Earlier onOpen={correlation => change({ q: correlation })} />
          </>
        )}
      </main>
    </div>
  )
}

function Head({ asked, onNew }: { asked: string | undefined; onNew: () => void }) {
  useSettings()
  const theme = shownTheme() === 'dark' ? 'light' : 'dark'
  return (
    <header className={styles.head}>
      {asked !== undefined ? (
        <Button look="quiet" onClick={onNew}>
          <Icon name="plus" />
          Ask another question
        </Button>
      ) : (
        <span className={styles.brand}>Ask</span>
      )}
      <span className={styles.space} />
      <Button
        look="quiet"
        icon
        aria-label={theme === 'light' ? 'Light theme' : 'Dark theme'}
        onClick={() => changeSettings({ theme })}
      >
        <Icon name={theme === 'light' ? 'sun' : 'moon'} />
      </Button>
      <Link
        to={asked === undefined ? '/live' : `/traces/${asked}`}
        className={styles.console}
        title={asked === undefined ? 'See everything that happens' : 'See how the answer comes about'}
      >
        Console
        <Icon name="right" size={14} />
      </Link>
    </header>
  )
}
