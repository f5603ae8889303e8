/** Draws full-screen on a terminal, and restores it when disposed or when the process exits. */
export class Screen {
  readonly #out: NodeJS.WriteStream
  readonly #restore = () => void this.#out.write('\u001b[?25h\u001b[?1049l')
  readonly #redraw = () => this.draw(this.#picture)
  #picture: (columns: number, rows: number) => string[] = () => []

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
    out.write('\u001b[?1049h\u001b[?25l')
    out.on('resize', this.#redraw)
    process.on('exit', this.#restore)
  }

  /** Draws now, and after every resize. Lines that do not fit are omitted. */
  draw(picture: (columns: number, rows: number) => string[]): void {
    this.#picture = picture
    const { columns, rows } = this.#out
    const lines = picture(columns, rows).slice(0, rows)
    this.#out.write(`\u001b[H${lines.map(line => `${line}\u001b[K`).join('\n')}\u001b[J`)
  }

  [Symbol.dispose](): void {
    this.#out.off('resize', this.#redraw)
    process.off('exit', this.#restore)
    this.#restore()
  }
}
