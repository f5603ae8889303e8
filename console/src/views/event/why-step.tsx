import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { shownTarget } from '../../../../src/bus/tapped.ts'
import { between, stackIn, workTime } from '../../../../src/trace/outcome.ts'
import { shortId, shortIdOf } from '../../../../src/trace/short-id.ts'
import { summarizeEvent } from '../../../../src/trace/summarize.ts'
import type { Author } from '../../../../src/trace/reasons.ts'
import { useSource } from '../../api/source.tsx'
import { toneStyle } from '../../ui/badge.tsx'
import { countFull, durationText } from '../../ui/format.ts'
import { Icon } from '../../ui/icon.tsx'
import { Id } from '../../ui/id.tsx'
import { Time } from '../../ui/time.tsx'
import { toneOfType } from './family.ts'
import { useOpenEvents } from './open-events.ts'
import { Prompt } from './prompt.tsx'
import type { WhyChain, WhyStep } from './why-tree.ts'
import styles from './why.module.css'

const ends = {
  lost: 'which is no longer on the log',
  circle: 'which is above: these events claim to cause each other',
  shown: 'which is shown already',
  cut: 'and further causes that are left out',
} as const

/** A chain of causes, the effect first. */
export function Chain({ chain: { steps, rest } }: { chain: WhyChain }) {
  return (
    <ol className={styles.chain}>
      {steps.map((step, i) => (
        <Step key={step.event.id} step={step} cause={steps[i + 1]} isFirst={i === 0} />
      ))}
      {rest && (
        <li className={styles.rest}>
          because of <Id id={rest.id} />, {ends[rest.is]}
        </li>
      )}
    </ol>
  )
}

function Step({ step, cause, isFirst }: { step: WhyStep; cause: WhyStep | undefined; isFirst: boolean }) {
  const { event, by, asked, also, more } = step
  const { toggle, open } = useOpenEvents()
  const stack = stackIn(event).stack
  const text = event.data === null || event.data === undefined ? '' : summarizeEvent(event)
  return (
    <li className={styles.step} style={toneStyle(toneOfType(event.type))}>
      <div className={styles.head}>
        <button
          type="button"
          className={styles.type}
          title={open.includes(event.id) ? 'This event is open' : `Open ${event.id}`}
          onClick={() => !open.includes(event.id) && toggle(event.id)}
        >
          {event.type}
        </button>
        {event.target !== undefined && !asked && <span className={styles.target}>→ {shownTarget(event)}</span>}
        <Id id={event.id} program={event.target} />
        <span className={styles.at}>
          <Time at={event.time} />
        </span>
      </div>
      <By author={by} ranMs={workTime(event)} />
      {asked ? (
        <Prompt question={asked} isOpen={isFirst} />
      ) : (
        text !== '' && (
          <p className={styles.text} dir="auto" title={text}>
            {text}
          </p>
        )
      )}
      {stack !== undefined && <pre className={styles.stack}>{stack}</pre>}
      {also.length > 0 && <Also chains={also} />}
      {more > 0 && <p className={styles.note}>{countFull(more)} more causes are left out</p>}
      {cause ? (
        <p className={styles.gap}>
          <Icon name="up" size={12} /> {durationText(between(cause.event, event))} after
        </p>
      ) : (
        event.causationid === undefined && <p className={styles.origin}>It came from outside: here it began.</p>
      )}
    </li>
  )
}

/** Who published it, with the code that decided. */
function By({ author, ranMs }: { author: Author; ranMs: number | undefined }) {
  const { kind, name, task, turn, version, hash, retryOf } = author
  const isOffline = useSource().origin === 'slice'
  return (
    <p className={styles.by}>
      by {kind !== 'other' && <span>{kind}</span>} <b>{name}</b>
      {version !== undefined && <span> v{version}</span>}
      {turn !== undefined && task !== undefined && (
        <>
          {', '}
          {isOffline ? (
            `turn ${turn}`
          ) : (
            <Link to={`/tasks/${task}`} search={{ turn: String(turn) }} title={`Task ${task}`}>
              turn {turn}
            </Link>
          )}
        </>
      )}
      {hash !== undefined && (
        <span className={styles.hash} title={`The digest of the code that decided: ${hash}`}>
          code {hash.slice(0, 8)}
        </span>
      )}
      {ranMs !== undefined && <span>, ran {durationText(ranMs)}</span>}
      {retryOf !== undefined && <span className={styles.hash}>retry of {shortId(retryOf, name)}</span>}
    </p>
  )
}

function Also({ chains }: { chains: readonly WhyChain[] }) {
  const [isOpen, setOpen] = useState(false)
  return (
    <div className={styles.also}>
      <button type="button" className={styles.more} aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        <Icon name={isOpen ? 'down' : 'right'} size={12} />
        {chains.length === 1 ? 'and because of one other input' : `and because of ${chains.length} other inputs`}
        {!isOpen && <span className={styles.names}>{chains.map(nameOf).join(', ')}</span>}
      </button>
      {isOpen && chains.map((chain, i) => <Chain key={i} chain={chain} />)}
    </div>
  )
}

const nameOf = ({ steps, rest }: WhyChain) =>
  steps[0] ? `${steps[0].event.type} ${shortIdOf(steps[0].event)}` : rest ? shortId(rest.id) : ''
