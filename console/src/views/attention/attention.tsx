import { serverNow } from '../../api/server-clock.ts'
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { attentionQuery, attentionTypes, type Attention as Item } from '../../api/attention.ts'
import { useRefetchOn } from '../../api/live-queries.ts'
import { useHotkeys } from '../../shell/hotkeys.ts'
import { Page } from '../../shell/page.tsx'
import { useSelection } from '../../shell/use-selection.ts'
import { useUrlState } from '../../shell/url-state.ts'
import { Button } from '../../ui/button.tsx'
import { FilterField } from '../../ui/field.tsx'
import { countFull } from '../../ui/format.ts'
import { SelectionBar } from '../../ui/selection-bar.tsx'
import { Empty, Failure, Loading } from '../../ui/states.tsx'
import { VirtualRows } from '../../ui/virtual-rows.tsx'
import { OperationButton } from '../operations/operation-button.tsx'
import { commandsFor } from './attention-commands.ts'
import { AttentionDetails } from './attention-details.tsx'
import { AttentionLine } from './attention-line.tsx'
import { keyOf, kindTexts, subjectOf, whyOf, codeOf, type AttentionKind } from './attention-texts.ts'
import styles from './attention.module.css'

const actions = ['retry', 'release', 'cancel', 'discard'] as const

/** What needs a person: what happened, why, and the next step. */
export function Attention() {
  useRefetchOn(attentionQuery.queryKey, attentionTypes)
  const { data, error, isPending, refetch } = useQuery(attentionQuery)
  const [params, change] = useUrlState()
  const all = data?.items ?? []
  const items = useMemo(() => all.filter(matching(params.kind, params.text)), [all, params.kind, params.text])
  const selection = useSelection(items.map(keyOf))
  const selected = items.filter((_, index) => selection.isSelected(index))
  const opened = items.findIndex(item => keyOf(item) === params.at)
  const show = (key: string | undefined) => change({ at: key }, true)
  const step = (by: number) => {
    const item = items[Math.max(0, Math.min(items.length - 1, opened + by))]
    if (item) show(keyOf(item))
  }
  useHotkeys({
    j: () => step(1),
    k: () => step(-1),
    x: () => opened >= 0 && selection.toggle(opened),
    Escape: () => (selection.ids.length > 0 ? selection.clear() : show(undefined)),
  })
  return (
    <Page
      title="Attention"
      about={data && data.count > 0 && <span>{countFull(data.count)} need a person</span>}
      toolbar={
        <>
          <Kinds items={all} kind={params.kind} onKind={kind => change({ kind }, true)} />
          <FilterField
            label="Text"
            placeholder="Program, code or reason"
            icon="search"
            width={200}
            value={params.text ?? ''}
            onChange={text => change({ text }, true)}
          />
        </>
      }
    >
      <section className={styles.list} aria-label="What needs a person">
        {isPending && <Loading what="the list" />}
        {error && <Failure error={error} retry={() => void refetch()} />}
        {data && items.length === 0 && <Nothing filtered={all.length > 0} />}
        {items.length > 0 && (
          <VirtualRows
            label="Entries"
            count={items.length}
            rowHeight={52}
            keyOf={index => keyOf(items[index]!)}
            {...(opened >= 0 && { active: opened })}
            onActive={index => show(keyOf(items[index]!))}
            multiple
            isSelected={selection.isSelected}
          >
            {index => (
              <AttentionLine
                item={items[index]!}
                picked={selection.isSelected(index)}
                onPick={range => selection.toggle(index, range)}
              />
            )}
          </VirtualRows>
        )}
        <SelectionBar count={selected.length} of={items.length} onAll={selection.selectLoaded} onNone={selection.clear}>
          {actions.map(action => (
            <OperationButton key={action} commands={commandsFor(action, selected)} />
          ))}
        </SelectionBar>
      </section>
      {opened >= 0 && <AttentionDetails key={params.at} item={items[opened]!} onClose={() => show(undefined)} />}
    </Page>
  )
}

interface KindsProps {
  readonly items: readonly Item[]
  readonly kind: string | undefined
  readonly onKind: (kind: string | undefined) => void
}

/** A button for each kind that there is, with its number. */
function Kinds({ items, kind, onKind }: KindsProps) {
  const counts = new Map<AttentionKind, number>()
  for (const item of items) counts.set(item.kind, (counts.get(item.kind) ?? 0) + 1 + (item.more ?? 0))
  const kinds = (Object.keys(kindTexts) as AttentionKind[]).filter(each => counts.has(each) || each === kind)
  return kinds.map(each => (
    <Button
      key={each}
      pressed={each === kind}
      title={kindTexts[each].about}
      onClick={() => onKind(each === kind ? undefined : each)}
    >
      {kindTexts[each].name}
      <span className={styles.number}>{countFull(counts.get(each) ?? 0)}</span>
    </Button>
  ))
}

const Nothing = ({ filtered }: { filtered: boolean }) =>
  filtered ? (
    <Empty title="No entry matches">Change the filters to see the others.</Empty>
  ) : (
    <Empty title="Nothing needs a person">
      Failed tasks, dead and parked deliveries, overdue timers and calls that nobody hosts appear here.
    </Empty>
  )

const matching = (kind: string | undefined, text = '') => {
  const wanted = text.toLowerCase()
  return (item: Item) =>
    (kind === undefined || item.kind === kind) &&
    `${subjectOf(item)} ${codeOf(item) ?? ''} ${whyOf(item, serverNow())}`.toLowerCase().includes(wanted)
}
