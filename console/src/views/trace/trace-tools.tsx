import { Link } from '@tanstack/react-router'
import { gatewayUrl, pathWith } from '../../api/connection.ts'
import { download } from '../../api/download.ts'
import { useSource } from '../../api/source.tsx'
import { useUrlState } from '../../shell/url-state.ts'
import { Button } from '../../ui/button.tsx'
import { FilterField } from '../../ui/field.tsx'
import { countFull } from '../../ui/format.ts'
import { Icon } from '../../ui/icon.tsx'
import { notifyFailure } from '../../ui/toasts.tsx'
import { OperationButton } from '../operations/operation-button.tsx'
import styles from './trace.module.css'

interface TraceToolsProps {
  readonly correlation: string
  readonly failed: number
  readonly hasIdles: boolean
  readonly isFolded: boolean
  readonly isCollapsed: boolean
  readonly onCollapse: (isCollapsed: boolean) => void
}

/** Filters of a trace, and what can be done with all of it. */
export function TraceTools(props: TraceToolsProps) {
  const { correlation, failed, hasIdles, isFolded, isCollapsed, onCollapse } = props
  const [params, change] = useUrlState()
  const isOffline = useSource().origin === 'slice'
  const isFailedOnly = params.failed === '1'
  const save = () => download(new URL(pathWith('slice', { correlation }), gatewayUrl), `${correlation}.jsonl.gz`)
  return (
    <>
      <Link to={isOffline ? '/offline' : '/traces'} className={styles.back} title="All traces">
        <Icon name="right" />
      </Link>
      <FilterField
        label="Text"
        placeholder="Filter: name, text, id"
        icon="search"
        width={220}
        value={params.text ?? ''}
        onChange={text => change({ text }, true)}
      />
      <Button pressed={isFailedOnly} onClick={() => change({ failed: isFailedOnly ? '' : '1' }, true)}>
        Failed only{failed > 0 ? ` (${countFull(failed)})` : ''}
      </Button>
      <Button look="quiet" title="One line: ← and →" onClick={() => onCollapse(!isCollapsed)}>
        {isCollapsed ? 'Expand all' : 'Collapse all'}
      </Button>
      {hasIdles && (
        <Button
          look="quiet"
          pressed={isFolded}
          title="Periods in which nothing ran take little room on the axis"
          onClick={() => change({ idle: isFolded ? 'shown' : '' }, true)}
        >
          Fold idle time
        </Button>
      )}
      {!isOffline && (
        <>
          <OperationButton commands={[{ action: 'redrive', correlation }]} />
          <Button
            look="quiet"
            title="Save the trace as a slice, to look at it without a server, or to replay it as a test"
            onClick={() => void save().catch(notifyFailure)}
          >
            <Icon name="download" />
            Export
          </Button>
        </>
      )}
      <span className={styles.keys}>
        <kbd>j</kbd> <kbd>k</kbd> move · <kbd>←</kbd> <kbd>→</kbd> fold · <kbd>Enter</kbd> open · <kbd>w</kbd> why ·{' '}
        <kbd>z</kbd> zoom
      </span>
    </>
  )
}
