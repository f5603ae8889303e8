import { useSyncExternalStore } from 'react'
import type { OperationCommand } from '../../api/operations.ts'

/* The dialog that is open. It outlives the row or the panel with its button: what a command is about may leave the list. */

/** A turn of a task to fork from, counted from 1. */
export interface ForkTurn {
  readonly task: string
  readonly turn: number
}

type OpenDialog = { readonly commands: readonly OperationCommand[] } | { readonly fork: ForkTurn } | undefined

const listeners = new Set<() => void>()
let current: OpenDialog

/** Opens a dialog in place of the one before; undefined closes it. */
export function openDialog(dialog: OpenDialog): void {
  current = dialog
  for (const listener of listeners) listener()
}

export const useOpenDialog = (): OpenDialog =>
  useSyncExternalStore(
    listener => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => current,
  )
