import { beginning, formatCursor, isCovered, readCursor } from '../cursor.ts'
import type { Cursor, Position } from '../driver.ts'

/* Documents that hold a place on the log: of triggers and taps. `test/copy/cursors.test.ts` writes each of them. */

type Replace = (cursor: Cursor) => Cursor

interface TapDocument {
  readonly instances?: Readonly<Record<string, { readonly cursor: unknown }>>
}

const families: readonly { readonly key: RegExp; readonly replace: (value: never, by: Replace) => object }[] = [
  {
    key: /^files\/[^/]+$/,
    replace: (value: { readonly after: unknown }, by) => ({ ...value, after: by(readCursor(value.after)) }),
  },
  {
    key: /^mqtt\/[^/]+$/,
    replace: (value: { readonly from: unknown; readonly upTo: unknown }, by) => ({
      ...value,
      from: by(readCursor(value.from)),
      upTo: by(readCursor(value.upTo)),
    }),
  },
  {
    key: /^tap\/[^/]+$/,
    replace: ({ instances = {}, ...rest }: TapDocument, by) => ({
      ...rest,
      instances: Object.fromEntries(
        Object.entries(instances).map(([id, each]) => [id, { ...each, cursor: by(readCursor(each.cursor)) }]),
      ),
    }),
  },
]

/** Whether the document of this key holds cursors. */
export const hasCursor = (key: string): boolean => families.some(family => family.key.test(key))

/** The text of a document with its cursors replaced. */
export function withCursors(key: string, text: string, by: Replace): string {
  const family = families.find(each => each.key.test(key))!
  return JSON.stringify(family.replace(JSON.parse(text) as never, by))
}

/** The cursors in the text of a document. */
export function cursorsIn(key: string, text: string): Cursor[] {
  const found: Cursor[] = []
  withCursors(key, text, cursor => {
    found.push(cursor)
    return cursor
  })
  return found
}

/** The largest beginning of the target that a cursor of the source covers. */
export class CursorTranslation {
  readonly #source: Cursor
  readonly #offsets: number[]
  readonly #closed = new Set<number>()

  /** `above`: where the partitions of the target begin. */
  constructor(source: Cursor, partitions: number, above: number) {
    this.#source = source
    this.#offsets = Array.from({ length: partitions }, () => (source === beginning ? 0 : above))
  }

  /** An event of the target, and where the source has it. */
  see({ partition, offset }: Position, source: Position | undefined): void {
    if (this.#closed.has(partition)) return
    if (source && isCovered(this.#source, source)) this.#offsets[partition] = offset
    else this.#closed.add(partition)
  }

  get cursor(): Cursor {
    return formatCursor(this.#offsets)
  }
}
