import { useQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import type { OpenApproval } from '../../../../src/tasks/approval-list.ts'
import { approvalsQuery } from '../../api/queries.ts'
import { useHotkeys } from '../../shell/hotkeys.ts'
import { Page } from '../../shell/page.tsx'
import { useSelection } from '../../shell/use-selection.ts'
import { useUrlState } from '../../shell/url-state.ts'
import { countFull } from '../../ui/format.ts'
import { SelectionBar } from '../../ui/selection-bar.tsx'
import { Empty, Failure, Loading } from '../../ui/states.tsx'
import { VirtualRows } from '../../ui/virtual-rows.tsx'
import { AnswerButtons } from './answer-buttons.tsx'
import { AnswerDialog, type Decision } from './answer-dialog.tsx'
import { ApprovalDetails } from './approval-details.tsx'
import { ApprovalLine } from './approval-line.tsx'
import { useAnswerNotices } from './answer-notices.ts'
import { SettledApproval } from './settled-approval.tsx'
import styles from './inbox.module.css'

/** Requests for approval that wait for the person at the console. */
export function Inbox() {
  const { data, error, isPending, refetch } = useQuery(approvalsQuery)
  const [params, change] = useUrlState()
  const [decision, setDecision] = useState<Decision>()
  const requests = useMemo(() => byUrgency(data?.approvals ?? []), [data])
  useAnswerNotices(requests)
  const selection = useSelection(requests.map(({ id }) => id))

  const opened = requests.findIndex(({ id }) => id === params.at)
  const selected = requests.filter((_, index) => selection.isSelected(index))
  const show = (id: string | undefined) => change({ at: id }, true)
  const step = (by: number) => show(requests[Math.max(0, Math.min(requests.length - 1, opened + by))]?.id)
  const decide = (answer: Decision['answer']) => {
    const about = selected.length > 0 ? selected : requests.slice(opened, opened < 0 ? 0 : opened + 1)
    if (about.length > 0) setDecision({ answer, requests: about })
  }
  const onAnswered = (answered: ReadonlySet<string>) => {
    const left = (request: OpenApproval) => !answered.has(request.id)
    const next = requests.slice(Math.max(0, opened)).find(left) ?? requests.find(left)
    setDecision(undefined)
    change({ selected: '', ...(params.at !== undefined && answered.has(params.at) && { at: next?.id }) }, true)
  }
  useHotkeys({
    j: () => step(1),
    k: () => step(-1),
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    a: () => decide('grant'),
    d: () => decide('deny'),
    x: () => opened >= 0 && selection.toggle(opened),
    Escape: () => (selection.ids.length > 0 ? selection.clear() : show(undefined)),
  })
  return (
    <Page
      title="Inbox"
      about={requests.length > 0 && <span>{countFull(requests.length)} waiting for you</span>}
      actions={
        <span className={styles.keys} aria-hidden="true">
          <kbd>j</kbd>
          <kbd>k</kbd> move <kbd>x</kbd> select <kbd>a</kbd> approve <kbd>d</kbd> deny
        </span>
      }
    >
      <section className={styles.list} aria-label="Requests for approval">
        {isPending && <Loading what="requests for approval" />}
        {error && <Failure error={error} retry={() => void refetch()} />}
        {data && requests.length === 0 && (
          <Empty title="Nothing waits for you">
            A request for approval appears here as soon as an agent, a tool or a workflow asks.
          </Empty>
        )}
        {requests.length > 0 && (
          <VirtualRows
            label="Requests, most urgent first"
            count={requests.length}
            rowHeight={58}
            keyOf={index => requests[index]!.id}
            {...(opened >= 0 && { active: opened })}
            onActive={index => show(requests[index]!.id)}
            multiple
            isSelected={selection.isSelected}
          >
            {index => (
              <ApprovalLine
                request={requests[index]!}
                picked={selection.isSelected(index)}
                onPick={range => selection.toggle(index, range)}
              />
            )}
          </VirtualRows>
        )}
        <SelectionBar
          count={selected.length}
          of={requests.length}
          onAll={selection.selectLoaded}
          onNone={selection.clear}
        >
          <AnswerButtons onAnswer={decide} />
        </SelectionBar>
      </section>
      {opened >= 0 && (
        <ApprovalDetails
          request={requests[opened]!}
          onAnswer={answer => setDecision({ answer, requests: [requests[opened]!] })}
          onClose={() => show(undefined)}
        />
      )}
      {opened < 0 && params.at !== undefined && data && (
        <SettledApproval key={params.at} id={params.at} onClose={() => show(undefined)} />
      )}
      {decision && <AnswerDialog decision={decision} onAnswered={onAnswered} onClose={() => setDecision(undefined)} />}
    </Page>
  )
}

/** The first to end comes first; those without a deadline follow, the oldest first. */
const byUrgency = (requests: readonly OpenApproval[]): OpenApproval[] =>
  requests.toSorted(
    (a, b) => (dueOf(a) === dueOf(b) ? 0 : dueOf(a) - dueOf(b)) || Date.parse(a.since) - Date.parse(b.since),
  )
const dueOf = ({ until }: OpenApproval) => (until === undefined ? Infinity : Date.parse(until))
