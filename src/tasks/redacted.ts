import type { Redactor } from '../bus/redact.ts'
import type { Machine } from './program.ts'

/** The same machine, whose state is redacted when it leaves memory: a program may have put there what no event says. */
export function redacted(machine: Machine, redactor: Redactor): Machine {
  return {
    maxTurns: machine.maxTurns,
    fold: turn => machine.fold(turn),
    decide: (inputs, ctx) => machine.decide(inputs, ctx),
    accepted: emitted => machine.accepted(emitted),
    pinned: () => machine.pinned?.(),
    undoes: machine.undoes ?? false,
    knows: event => machine.knows?.(event) ?? false,
    snapshot() {
      const state = machine.snapshot()
      return state === undefined ? undefined : redactor.json(state)
    },
  }
}
