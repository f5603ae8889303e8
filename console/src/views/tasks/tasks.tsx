import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useRef, useState } from 'react'
import { taskStates } from '../../../../src/trace/index/rows.ts'
import { infoQuery } from '../../api/queries.ts'
import { useHotkeys } from '../../shell/hotkeys.ts'
import { Page } from '../../shell/page.tsx'
import { useSelection } from '../../shell/use-selection.ts'
import { Dot } from '../../ui/badge.tsx'
import { FilterField, Select } from '../../ui/field.tsx'
import { countFull } from '../../ui/format.ts'
import { ListJump } from '../../ui/list-jump.tsx'
import { Empty, Failure, Loading } from '../../ui/states.tsx'
import { VirtualRows } from '../../ui/virtual-rows.tsx'
import { SelectionBar } from './selection-bar.tsx'
import { useTaskFilter, type TaskListFilter } from './task-filter.ts'
import { TaskLine, TaskLineHead } from './task-line.tsx'
import { useTaskList } from './task-list.ts'
import { useIsPhone } from '../../ui/use-is-phone.ts'
import styles from './tasks.module.css'

const times = [['', 'Any time'], ['15m', 'Last 15 minutes'], ['1h', 'Last hour'], ['24h', 'Last 24 hours'], ['7d', 'Last 7 days']] as const // biome-ignore format: one list

/** Tasks of agents and workflows. */
export function Tasks() {
  const { filter, set } = useTaskFilter()
  const { data: info } = useQuery(infoQuery)
  const navigate = useNavigate()
  const scroller = useRef<HTMLDivElement>(null)
  const [active, setActive] = useState<string>()
  const [isScrolled, setScrolled] = useState(false)
  const [hasSelection, setHasSelection] = useState(false)
  const { tasks, newer, isLive, hasMore, more, isPending, error, refetch } = useTaskList(
    filter,
    isScrolled || hasSelection,
  )
  const selection = useSelection(tasks.map(({ task }) => task))
  const isSelecting = selection.isAll || selection.ids.length > 0
  if (isSelecting !== hasSelection) setHasSelection(isSelecting)
  const activeIndex = tasks.findIndex(({ task }) => task === active)
  const rowHeight = useIsPhone() ? 54 : 34

  useHotkeys({
    Escape: () => selection.clear(),
    x: () => activeIndex >= 0 && selection.toggle(activeIndex),
    X: () => activeIndex >= 0 && selection.toggle(activeIndex, true),
  })
  const onScroll = () => {
    const element = scroller.current
    if (!element) return
    setScrolled(element.scrollTop > rowHeight)
    if (hasMore && element.scrollHeight - element.scrollTop - element.clientHeight < 30 * rowHeight) more()
  }
  const toTop = () => {
    selection.clear()
    scroller.current?.scrollTo({ top: 0 })
  }
  const chosen = new Set(selection.ids)
  const selected = tasks.filter(({ task }) => chosen.has(task))
  return (
    <Page
      title="Tasks"
      about={
        <span className={styles.about} role="status">
          <Dot tone={isLive ? 'ok' : 'waiting'} pulsing={isLive} />
          {countFull(tasks.length)}
          {hasMore && ' newest'}
        </span>
      }
      toolbar={
        <>
          <FilterField
            label="Program"
            icon="filter"
            width={170}
            value={filter.program ?? ''}
            onChange={set('program')}
            suggestions={[...(info?.agents ?? []), ...(info?.workflows ?? [])].map(({ name }) => name)}
          />
          <Select
            label="State"
            value={filter.state ?? ''}
            onChange={set('state')}
            options={[['', 'Any state'], ...taskStates.map(state => [state, state] as const)]}
          />
          <Select
            label="Active"
            value={filter.since ?? ''}
            onChange={set('since')}
            options={withCurrent(filter.since)}
          />
          <FilterField
            label="Text"
            placeholder="Text in its events"
            icon="search"
            width={200}
            value={filter.text ?? ''}
            onChange={set('text')}
          />
          <FilterField
            label="Error code"
            placeholder="Failed with, as E_TOOL_THREW"
            width={230}
            value={filter.failedWith ?? ''}
            onChange={set('failedWith')}
          />
        </>
      }
    >
      <section className={styles.list} aria-label="Tasks">
        {isSelecting && (
          <SelectionBar
            selection={selection.isAll ? { filter } : { tasks: selected }}
            canSelectAll={!selection.isAll && (hasMore || selection.ids.length < tasks.length)}
            onSelectAll={selection.selectAll}
            onClear={selection.clear}
          />
        )}
        {error && tasks.length === 0 && <Failure error={error} retry={() => void refetch()} />}
        {isPending && <Loading what="tasks" />}
        {!isPending && !error && tasks.length === 0 && <NoTasks filter={filter} />}
        {tasks.length > 0 && (
          <>
            <TaskLineHead onSelectLoaded={selection.selectLoaded} />
            <VirtualRows
              label="Tasks, most recently active first"
              scroller={scroller}
              onScroll={onScroll}
              count={tasks.length}
              rowHeight={rowHeight}
              keyOf={index => tasks[index]!.task}
              {...(activeIndex >= 0 && { active: activeIndex })}
              onActive={index => setActive(tasks[index]!.task)}
              onOpen={index => void navigate({ to: '/tasks/$task', params: { task: tasks[index]!.task } })}
              isSelected={selection.isSelected}
              multiple
            >
              {index => (
                <TaskLine
                  row={tasks[index]!}
                  selected={selection.isSelected(index)}
                  onSelect={range => selection.toggle(index, range)}
                />
              )}
            </VirtualRows>
          </>
        )}
        {newer > 0 && (
          <ListJump direction="up" onClick={toTop}>
            {countFull(newer)} newer
          </ListJump>
        )}
      </section>
    </Page>
  )
}

/** The choices, with what the URL says. */
const withCurrent = (since: string | undefined): readonly (readonly [string, string])[] =>
  since === undefined || times.some(([time]) => time === since) ? times : [...times, [since, `Since ${since}`]]

function NoTasks({ filter }: { filter: TaskListFilter }) {
  if (Object.keys(filter).length > 0)
    return <Empty title="No task matches">Change the filters, or wait: what matches appears here.</Empty>
  return (
    <Empty title="No task has run yet">
      <p>A task starts when an agent is asked, or an event comes that an agent or workflow subscribes to.</p>
      <pre>npx tidings ask AGENT "…"</pre>
    </Empty>
  )
}
