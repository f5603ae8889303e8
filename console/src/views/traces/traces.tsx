import { useNavigate } from '@tanstack/react-router'
import { useRefetchOn } from '../../api/live-queries.ts'
import { Page } from '../../shell/page.tsx'
import { Button } from '../../ui/button.tsx'
import { Icon } from '../../ui/icon.tsx'
import { Empty } from '../../ui/states.tsx'
import { CorrelationList } from './correlation-list.tsx'
import styles from './traces.module.css'

const key = ['correlations', 'gateway']

/** What happened lately: everything that came of one event from outside is one trace. */
export function Traces() {
  useRefetchOn(key, ['>'])
  const navigate = useNavigate()
  return (
    <Page
      title="Traces"
      actions={
        <Button title="Look at an exported slice, without a server" onClick={() => void navigate({ to: '/offline' })}>
          <Icon name="file" />
          Open a slice
        </Button>
      }
    >
      <section className={styles.list} aria-label="Traces">
        <CorrelationList
          onOpen={correlation => void navigate({ to: '/traces/$correlation', params: { correlation } })}
          empty={
            <Empty title="Nothing has happened yet">
              A trace begins with an event from outside: publish one in Live, or ask an agent.
            </Empty>
          }
        />
      </section>
    </Page>
  )
}
