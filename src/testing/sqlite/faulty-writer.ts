import type { CommitOp, WriterOptions } from '../../drivers/sqlite/protocol.ts'
import { LogStore } from '../../drivers/sqlite/writer/log-store.ts'
import { LogWriter } from '../../drivers/sqlite/writer/log-writer.ts'
import { CommitFailures } from './commit-failures.ts'

/** Faults of a writer of the embedded log, in a form that can be sent to its thread. */
export interface WriterFaults {
  /** Accepts all turns without checking versions and shards. The last turn of a version wins. */
  readonly dropFence?: boolean
  /** Commits the settlements, the turn and its events in three transactions, in this order. */
  readonly dropTransaction?: boolean
  /** The cells of `CommitFailures`. */
  readonly commits?: SharedArrayBuffer | undefined
}

/** A writer without a guarantee, to prove that a test detects it. */
export class FaultyWriter extends LogWriter {
  readonly #faults: WriterFaults

  constructor(options: WriterOptions, faults: WriterFaults) {
    super(options, faults.commits ? new FailingStore(options, faults.commits) : new LogStore(options))
    this.#faults = faults
  }

  protected override accepts(op: CommitOp): boolean {
    if (!this.#faults.dropFence) return super.accepts(op)
    const remove = this.store.db.prepare('DELETE FROM log WHERE id = ?')
    for (const { id } of op.events) remove.run(id)
    return true
  }

  protected override storeTurn(op: CommitOp, opIndex: number): boolean {
    if (!this.#faults.dropTransaction) return super.storeTurn(op, opIndex)
    for (const settlement of op.settlements) this.groups.settle(settlement)
    this.groups.persist(true)
    this.#commitHere()
    const changed = super.storeTurn({ ...op, settlements: [], events: op.events.slice(0, 1) }, opIndex)
    this.#commitHere()
    this.append(op.events.slice(1), opIndex, 1)
    return changed
  }

  #commitHere(): void {
    this.store.commit()
    this.store.begin(true)
  }
}

class FailingStore extends LogStore {
  readonly #failures: CommitFailures

  constructor(options: WriterOptions, cells: SharedArrayBuffer) {
    super(options)
    this.#failures = new CommitFailures(cells)
  }

  override commit(): boolean {
    if (this.hasChanges) this.#failures.throwIfDue()
    return super.commit()
  }
}
