import { Link } from '@tanstack/react-router'
import { taskId } from '../../../../src/bus/ids.ts'
import type { CloudEvent } from '../../../../src/event.ts'
import { between } from '../../../../src/trace/outcome.ts'
import { preview } from '../../../../src/trace/text.ts'
import { Badge, Dot, StateBadge } from '../../ui/badge.tsx'
import { durationText } from '../../ui/format.ts'
import { Time } from '../../ui/time.tsx'
import { toneOfType } from '../event/family.ts'
import { ApprovalNote, useApproval } from './approvals.tsx'
import { inputOfCall, outputOf, type ChatItem } from './conversation.ts'
import { DataView } from './data-view.tsx'
import { Disclosure } from './disclosure.tsx'
import styles from './chat.module.css'

type Call = Extract<ChatItem, { kind: 'call' }>

/** A call and its answer, folded to one line. */
export function CallItem({ item, ended }: { item: Call; ended: boolean }) {
  const { request, answer } = item
  const approval = useApproval(request)
  const state = stateOf(item, ended)
  const isProblem = ['failed', 'expired', 'denied'].includes(state)
  return (
    <Disclosure
      open={isProblem}
      line={
        <>
          <Dot tone={toneOfType(request.type)} pulsing={state === 'waiting'} />
          <span className={styles.callName} title={request.type}>
            <span className={styles.callKind}>{kindOf(request)}</span> {nameOf(request)}
          </span>
          <span className={styles.callHint} title={hintOf(request)}>
            {request.type === 'timer.set' ? <TimerEnd request={request} /> : hintOf(request)}
          </span>
          {answer && <span className={styles.quiet}>{durationText(between(request, answer))}</span>}
          {approval?.isOpen && !answer ? (
            <Badge tone="approval" dot>
              waits for approval
            </Badge>
          ) : (
            <StateBadge state={state} />
          )}
        </>
      }
    >
      {() => (
        <>
          {approval && <ApprovalNote approval={approval} />}
          {/* A request to a model names the messages by their ids: they are in the conversation. */}
          {request.type !== 'model.invoke' && (
            <Part title="Input">
              <DataView value={inputOfCall(request)} label="Input" />
            </Part>
          )}
          {answer && (
            <Part title={isProblem ? 'Failed' : 'Output'}>
              <DataView value={outputOf(answer)} label="Output" />
            </Part>
          )}
          <CallFoot request={request} />
        </>
      )}
    </Disclosure>
  )
}

function TimerEnd({ request: { data } }: { request: CloudEvent }) {
  const { due } = (data ?? {}) as { due?: string }
  return due === undefined ? null : (
    <>
      until <Time at={due} />
    </>
  )
}

function CallFoot({ request }: { request: CloudEvent }) {
  const { type, target, correlationid, id, deadline, time } = request
  return (
    <p className={styles.quiet}>
      <Time at={time} />
      {deadline !== undefined && (
        <>
          {' '}
          · until <Time at={deadline} />
        </>
      )}
      {type === 'agent.invoke' && target !== undefined && (
        <>
          {' '}
          ·{' '}
          <Link to="/tasks/$task" params={{ task: taskId(correlationid, target, id) }}>
            the task of {target}
          </Link>
        </>
      )}
    </p>
  )
}

function Part({ title, children }: { title: string; children: React.ReactNode }) {
  return (
    <section className={styles.part}>
      <h2>{title}</h2>
      {children}
    </section>
  )
}

function stateOf({ answer, cancelled }: Call, ended: boolean): string {
  if (cancelled) return 'cancelled'
  if (!answer) return ended ? 'abandoned' : 'waiting'
  const [end] = /(failed|expired|denied|cancelled|granted|fired)$/.exec(answer.type) ?? ['answered']
  return end
}

const kinds: Readonly<Record<string, string>> = {
  'approval.requested': 'approval',
  'task.awaits': 'event',
  'timer.set': 'timer',
}
const kindOf = ({ type }: CloudEvent) => kinds[type] ?? type.slice(0, type.indexOf('.'))

function nameOf({ type, target, data }: CloudEvent): string {
  const fields = (data ?? {}) as { type?: unknown; step?: unknown; due?: unknown }
  if (type === 'task.awaits') return String(fields.type)
  if (type === 'step.invoke') return String(fields.step)
  return type === 'timer.set' ? '' : (target ?? type)
}

function hintOf(request: CloudEvent): string {
  if (request.type === 'timer.set') return `until ${String((request.data as { due?: unknown } | null)?.due)}`
  return request.type === 'task.awaits' || request.type === 'step.invoke' || request.type === 'model.invoke'
    ? ''
    : preview(inputOfCall(request)).slice(0, 200)
}
