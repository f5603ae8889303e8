import { Link } from '@tanstack/react-router'
import type { OpenApproval } from '../../../../src/tasks/approval-list.ts'
import { Facts } from '../../ui/facts.tsx'
import { Id } from '../../ui/id.tsx'
import { base64Bytes, JsonView } from '../../ui/json-view.tsx'
import { Time } from '../../ui/time.tsx'
import { publisherName } from '../event/family.ts'
import { matterOf } from './matter.ts'
import styles from './inbox.module.css'

type Shown = Pick<OpenApproval, 'id' | 'what' | 'hash' | 'since' | 'correlation' | 'from'> &
  Partial<Pick<OpenApproval, 'until' | 'approvers' | 'replay'>>

/** What is approved, in full, and where it comes from. */
export function ApprovalMatter({ request }: { request: Shown }) {
  const { id, what, hash, since, until, correlation, from, approvers, replay } = request
  const { tool, input } = matterOf(what)
  const asker = publisherName(from)
  return (
    <>
      <section className={styles.matter} aria-label="What is approved">
        <h3>{tool === undefined ? `${asker} shows` : `The tool ${tool} will run with exactly this`}</h3>
        <Fields value={input} />
      </section>
      <Facts
        facts={[
          ['asked by', asker],
          ['asked at', <Time key="since" at={since} />],
          ['until', until !== undefined && <Time key="until" at={until} />],
          ['approvers', approvers?.join(', ')],
          ['part of', replay],
          [
            'trace',
            <Link key="trace" to="/traces/$correlation" params={{ correlation }} search={{ at: id, open: id }}>
              What led to it
            </Link>,
          ],
          ['request', <Id key="id" id={id} />],
          [
            'hash',
            <code key="hash" title="The answer applies to exactly this content">
              {hash}
            </code>,
          ],
        ]}
      />
    </>
  )
}

/** The fields of an object as a form reads: texts in full, everything else as JSON. */
function Fields({ value }: { value: unknown }) {
  if (typeof value === 'string')
    return (
      <p className={styles.text} dir="auto">
        {value}
      </p>
    )
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return <JsonView value={value} label="Input" />
  return (
    <dl className={styles.fields}>
      {Object.entries(value).map(([name, each]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd dir="auto">
            {typeof each === 'string' && base64Bytes(each) === undefined ? (
              each
            ) : typeof each === 'number' || typeof each === 'boolean' ? (
              String(each)
            ) : (
              <JsonView value={each} label={name} />
            )}
          </dd>
        </div>
      ))}
    </dl>
  )
}
