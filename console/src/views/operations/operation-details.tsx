import { useQuery } from '@tanstack/react-query'
import { operationQuery } from '../../api/operations.ts'
import { Aside } from '../../ui/aside.tsx'
import { Facts } from '../../ui/facts.tsx'
import { Id } from '../../ui/id.tsx'
import { JsonView } from '../../ui/json-view.tsx'
import { Time } from '../../ui/time.tsx'
import { actionTexts, selectionText } from './operation-texts.ts'
import { OperationOutcome } from './operation-outcome.tsx'
import styles from './operation-list.module.css'

/** One command, who gave it and when, what it said, and what became of it. */
export function OperationDetails({ id, onClose }: { id: string; onClose: () => void }) {
  const { data } = useQuery(operationQuery(id))
  const title = data ? `${actionTexts[data.request.action].name} ${selectionText(data.request)}` : 'Operation'
  return (
    <Aside title={title} onClose={onClose} about={<Id id={id} />}>
      {data && (
        <Facts
          facts={[
            ['given by', data.user ?? 'anyone'],
            ['at', <Time key="at" at={data.requestedAt} />],
            ['ended', data.endedAt !== undefined && <Time key="ended" at={data.endedAt} />],
          ]}
        />
      )}
      <OperationOutcome id={id} />
      {data && (
        <details className={styles.request}>
          <summary>The command</summary>
          <JsonView value={data.request} label="The command" />
        </details>
      )}
    </Aside>
  )
}
