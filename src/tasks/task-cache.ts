import type { Task } from './task.ts'

/** The tasks that an engine keeps in memory while they wait. The least recently used one is removed first. */
export class TaskCache {
  readonly #tasks = new Map<string, Task>()
  readonly #maxTasks: number

  constructor(maxTasks = 4_096) {
    this.#maxTasks = maxTasks
  }

  get(id: string): Task | undefined {
    return this.#tasks.get(id)
  }

  /** Adds a task; removes it if it has ended. */
  add(task: Task): void {
    const { task: id } = task.identity
    this.#tasks.delete(id)
    if (task.end) return
    this.#tasks.set(id, task)
    if (this.#tasks.size > this.#maxTasks) this.#tasks.delete(this.#tasks.keys().next().value!)
  }

  ids(): Iterable<string> {
    return this.#tasks.keys()
  }

  delete(id: string): void {
    this.#tasks.delete(id)
  }

  forget(isLost: (task: string) => boolean): void {
    for (const id of this.#tasks.keys()) if (isLost(id)) this.#tasks.delete(id)
  }
}
