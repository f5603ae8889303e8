import { useInfiniteQuery } from '@tanstack/react-query'
import { useNavigate, useParams } from '@tanstack/react-router'
import { useMemo } from 'react'
import { get } from '../../api/connection.ts'
import { useRefetchOn } from '../../api/live-queries.ts'
import { operationTypes, type OperationView } from '../../api/operations.ts'
import { useHotkeys } from '../../shell/hotkeys.ts'
import { Page } from '../../shell/page.tsx'
import { useUrlState } from '../../shell/url-state.ts'
import { StateBadge } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { countFull } from '../../ui/format.ts'
import { Icon } from '../../ui/icon.tsx'
import { Empty, Failure, Loading } from '../../ui/states.tsx'
import { Age } from '../../ui/time.tsx'
import { VirtualRows } from '../../ui/virtual-rows.tsx'
import { OperationDetails } from './operation-details.tsx'
import { actionTexts, selectionText } from './operation-texts.ts'
import styles from './operation-list.module.css'

interface OperationPage {
  /** Newest first. */
  readonly operations: readonly OperationView[]
  readonly next?: string
}

/** Commands that operators gave, and what became of them. */
export function Operations() {
  const key = ['operations']
  useRefetchOn(key, operationTypes)
  const { id: opened } = useParams({ strict: false })
  const navigate = useNavigate()
  const { data, error, isPending, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ signal, pageParam }) => get<OperationPage>('operations', { limit: 200, before: pageParam }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next,
  })
  const [params, change] = useUrlState()
  const withDryRuns = params.dry !== undefined
  const rows = useMemo(
    () => data?.pages.flatMap(({ operations }) => operations.filter(each => withDryRuns || !isDryRun(each))) ?? [],
    [data, withDryRuns],
  )
  const open = (id: string | undefined) =>
    void navigate(
      id === undefined ? { to: '/operations', search: true } : { to: '/operations/$id', params: { id }, search: true },
    )
  useHotkeys({ Escape: () => open(undefined) })
  const active = rows.findIndex(({ operation }) => operation === opened)
  return (
    <Page
      title="Operations"
      about={data && <span>what people did, newest first</span>}
      actions={
        <Button
          pressed={withDryRuns}
          title="Commands that only counted"
          onClick={() => change({ dry: withDryRuns ? undefined : '1' }, true)}
        >
          Dry runs
        </Button>
      }
    >
      <section className={styles.list} aria-label="Operations">
        {isPending && <Loading what="operations" />}
        {error && <Failure error={error} retry={() => void refetch()} />}
        {data && rows.length === 0 && (
          <Empty title="Nobody has given a command yet">
            Cancel, retry, pause, fork or replay: each command that a person gives here, over HTTP or by another console
            is listed with what became of it.
          </Empty>
        )}
        {rows.length > 0 && (
          <VirtualRows
            label="Operations, newest first"
            count={rows.length}
            rowHeight={38}
            keyOf={index => rows[index]!.operation}
            {...(active >= 0 && { active })}
            onActive={index => open(rows[index]!.operation)}
            footer={
              hasNextPage && (
                <Button
                  className={styles.more ?? ''}
                  onClick={() => void fetchNextPage()}
                  disabled={isFetchingNextPage}
                >
                  Older
                </Button>
              )
            }
          >
            {index => <OperationLine operation={rows[index]!} />}
          </VirtualRows>
        )}
      </section>
      {opened !== undefined && <OperationDetails id={opened} onClose={() => open(undefined)} />}
    </Page>
  )
}

function OperationLine({ operation }: { operation: OperationView }) {
  const { request, status, user, requestedAt, result, error } = operation
  const selection = selectionText(request)
  return (
    <div className={styles.line}>
      <span className={styles.action}>
        <Icon name={actionTexts[request.action].icon} />
        {actionTexts[request.action].name}
      </span>
      <span className={styles.what} title={selection}>
        {selection}
        {isDryRun(operation) && <span className={styles.dry}>dry run</span>}
      </span>
      <StateBadge state={status} />
      <span className={styles.result} title={error?.message}>
        {error?.message ?? (result && resultText(operation, result))}
      </span>
      <span className={styles.user} title={user}>
        {user ?? 'anyone'}
      </span>
      <span className={styles.age}>
        <Age since={requestedAt} />
      </span>
    </div>
  )
}

const isDryRun = ({ request }: OperationView) => 'dryRun' in request && request.dryRun

function resultText(operation: OperationView, result: NonNullable<OperationView['result']>): string {
  const { found, done, unchanged, refused, diverged } = result
  if (isDryRun(operation)) return `${countFull(found)} matched`
  if (diverged !== undefined) return `${countFull(done)} replayed, ${countFull(diverged)} differ`
  return [
    `${countFull(done)} ${actionTexts[operation.request.action].done}`,
    unchanged > 0 && `${countFull(unchanged)} were so`,
    refused > 0 && `${countFull(refused)} refused`,
  ]
    .filter(Boolean)
    .join(', ')
}
