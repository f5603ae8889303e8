import { useLocation } from '@tanstack/react-router'
import { lazy, Suspense, useEffect } from 'react'
import { openDialog, useOpenDialog } from './open-dialog.ts'

const OperationDialog = lazy(async () => ({ default: (await import('./operation-dialog.tsx')).OperationDialog }))
const ForkDialog = lazy(async () => ({ default: (await import('./fork-dialog.tsx')).ForkDialog }))

const close = () => openDialog(undefined)

/** Shows the dialog that a button opened, above every view. */
export function OperationDialogs() {
  const dialog = useOpenDialog()
  const path = useLocation({ select: ({ pathname }) => pathname })
  // A link in the dialog leads away from it.
  useEffect(() => close, [path])
  if (!dialog) return null
  return (
    <Suspense>
      {'fork' in dialog ? (
        <ForkDialog {...dialog.fork} onClose={close} />
      ) : (
        <OperationDialog commands={dialog.commands} onClose={close} />
      )}
    </Suspense>
  )
}
