import { useMutation, useQuery } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { countFor, giveCommand, type OperationCommand } from '../../api/operations.ts'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { FormRow } from '../../ui/field.tsx'
import { countFull } from '../../ui/format.ts'
import { Icon } from '../../ui/icon.tsx'
import { Failure, Loading } from '../../ui/states.tsx'
import { EffectFields, type Effects } from './effect-fields.tsx'
import { OperationOutcome } from './operation-outcome.tsx'
import { actionTexts, canCount, countOf, selectionText } from './operation-texts.ts'
import styles from './operations.module.css'

const maxPerCommand = 1_000

interface OperationDialogProps {
  /** Of one action. Usually one command; several if no filter matches a selection. */
  readonly commands: readonly OperationCommand[]
  readonly onClose: () => void
}

/** Gives commands of an operator: says how many things they are about, gives them once, and shows what comes of them. */
export function OperationDialog({ commands, onClose }: OperationDialogProps) {
  const { action } = commands[0]!
  return (
    <Dialog
      open
      wide={action === 'replay' || action === 'redrive'}
      onClose={onClose}
      title={`${actionTexts[action].name} ${selectionOf(commands)}`}
    >
      <OperationForm commands={commands} onClose={onClose} />
    </Dialog>
  )
}

function OperationForm({ commands, onClose }: OperationDialogProps) {
  const { action } = commands[0]!
  const text = actionTexts[action]
  const [key] = useState(() => crypto.randomUUID())
  const [reason, setReason] = useState('')
  const [effects, setEffects] = useState<Effects>({})
  const count = useQuery({
    queryKey: ['count', key],
    queryFn: async () => sum(await Promise.all(commands.map((command, i) => countFor(command, `${key}-count-${i}`)))),
    enabled: canCount(commands[0]!),
    staleTime: Infinity,
    gcTime: 0,
    refetchOnWindowFocus: false,
    retry: false,
  })
  const given = useMutation({
    mutationFn: () =>
      Promise.all(commands.map((command, i) => giveCommand(completed(command, { reason, effects }), `${key}-${i}`))),
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    given.mutate()
  }
  if (given.data)
    return (
      <>
        {given.data.map(id => (
          <OperationOutcome key={id} id={id} isTitled={given.data.length > 1} />
        ))}
        <div className={styles.buttons}>
          <Button onClick={onClose} autoFocus>
            Close
          </Button>
        </div>
      </>
    )
  const counting = count.isLoading
  const found = canCount(commands[0]!) ? count.data : 1
  return (
    <form onSubmit={submit} className={styles.form}>
      <p className={styles.about}>{text.about}</p>
      {counting && <Loading what="what this is about" />}
      {count.error && <Failure error={count.error} retry={() => void count.refetch()} />}
      {count.data !== undefined && <Count commands={commands} found={count.data} />}
      {action === 'cancel' && (
        <FormRow label="Reason (optional)">
          <input value={reason} maxLength={1_000} onChange={event => setReason(event.target.value)} />
        </FormRow>
      )}
      {action === 'redrive' && <EffectFields value={effects} onChange={setEffects} />}
      {given.error && <Failure error={given.error} />}
      <div className={styles.buttons}>
        <Button onClick={onClose}>Keep as it is</Button>
        <Button
          type="submit"
          look={text.isDangerous ? 'danger' : 'primary'}
          disabled={counting || !found || given.isPending}
          autoFocus={!counting}
        >
          <Icon name={text.icon} />
          {text.name} {found === undefined ? '' : countOf(commands, Math.min(found, maxOf(commands)))}
        </Button>
      </div>
    </form>
  )
}

function Count({ commands, found }: { commands: readonly OperationCommand[]; found: number }) {
  const max = maxOf(commands)
  return (
    <p className={styles.count} role="status">
      <strong>{countFull(found)}</strong>
      {countOf(commands, found).replace(/^\S+/, '')} match
      {found === 1 ? 'es' : ''}.{found === 0 && ' There is nothing to do.'}
      {found > max && ` One command takes the oldest ${countFull(max)}; give it again for the rest.`}
    </p>
  )
}

const maxOf = (commands: readonly OperationCommand[]) => commands.length * maxPerCommand
const sum = (counts: readonly number[]) => counts.reduce((a, b) => a + b, 0)

const selectionOf = (commands: readonly OperationCommand[]) =>
  commands.length === 1 ? selectionText(commands[0]!) : 'a selection'

/** With what the person entered. */
function completed(
  command: OperationCommand,
  { reason, effects }: { reason: string; effects: Effects },
): OperationCommand {
  if (command.action === 'cancel' && reason.trim() !== '') return { ...command, reason: reason.trim() }
  return command.action === 'redrive' ? { ...command, effects } : command
}
