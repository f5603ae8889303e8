/** Draws full-screen on a terminal, and restores it when closed or when the process exits. */
export class Screen {
  readonly #out: NodeJS.WriteStream
  readonly #onExit = () => this.close()
  readonly #onResize = () => this.#redraw()
  #picture: (columns: number, rows: number) => string[] = () => []
  #isOpen = true

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
    out.write('\u001b[?1049h\u001b[?25l')
    out.on('resize', this.#onResize)
    process.on('exit', this.#onExit)
  }

  /** Draws now, and after every resize. Lines that do not fit are omitted. */
  draw(picture: (columns: number, rows: number) => string[]): void {
    this.#picture = picture
    this.#redraw()
  }

  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#out.off('resize', this.#onResize)
    process.off('exit', this.#onExit)
    this.#out.write('\u001b[?25h\u001b[?1049l')
  }

  #redraw(): void {
    const { columns, rows } = this.#out
    const lines = this.#picture(columns, rows).slice(0, rows)
    this.#out.write(`\u001b[H${lines.map(line => `${line}\u001b[K`).join('\n')}\u001b[J`)
  }
}
