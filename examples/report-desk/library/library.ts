import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pagesOf } from './extract.ts'
import { type DocumentFile, documentsIn, type Skipped } from './files.ts'
import { passagesOf } from './passages.ts'
import { proseAndCode } from './prose.ts'
import { type Hit, search } from './search.ts'

export interface Found {
  readonly id: string
  readonly path: string
  readonly heading: string
  /** Lines of a text, page of a PDF. */
  readonly place: string
  readonly text: string
}

export interface Refreshed {
  readonly documents: number
  readonly passages: number
  /** Number of documents that were read because they are new or changed. */
  readonly read: number
  readonly unreadable: readonly { readonly path: string; readonly problem: string }[]
  /** Files of the folder that were not read. */
  readonly skipped: readonly Skipped[]
}

export interface RefreshOptions {
  /** The folder is a package: skip files that answer no question. */
  readonly isPackage?: boolean
  readonly progress?: (done: number, all: number) => void
}

/** Raise it when documents are split differently: older indexes are then rebuilt. */
const version = 2

const schema = `
  CREATE TABLE root (path TEXT PRIMARY KEY) STRICT;
  CREATE TABLE documents (path TEXT PRIMARY KEY, mtime REAL, size INTEGER, problem TEXT) STRICT, WITHOUT ROWID;
  CREATE TABLE passages (
    rowid INTEGER PRIMARY KEY, id TEXT UNIQUE, path TEXT, heading TEXT, place TEXT, text TEXT
  ) STRICT;
  CREATE INDEX passages_of ON passages (path);
  CREATE VIRTUAL TABLE contents USING fts5 (name, heading, prose, code, tokenize = 'porter unicode61');
  PRAGMA user_version = ${version};
`
const reset = ['root', 'documents', 'passages', 'contents'].map(table => `DROP TABLE IF EXISTS ${table};`).join(' ')

/** A search index over the passages of one folder, in one file that can be rebuilt. */
export class Library {
  readonly #db: DatabaseSync
  readonly #file: string

  constructor(file: string) {
    mkdirSync(dirname(file), { recursive: true })
    this.#file = file
    this.#db = new DatabaseSync(file)
    this.#db.exec(`PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL`)
    this.#transaction(() => {
      if (this.#db.prepare('PRAGMA user_version').get()?.user_version !== version) this.#db.exec(reset + schema)
    })
  }

  /** The folder that was indexed last. */
  get root(): string | undefined {
    return this.#db.prepare('SELECT path FROM root').get()?.path as string | undefined
  }

  /** Updates the index; reads new and changed documents only. */
  async refresh(root: string, { isPackage = false, progress }: RefreshOptions = {}): Promise<Refreshed> {
    if (this.root !== root) {
      this.#transaction(() => {
        this.#db.exec(reset + schema)
        this.#db.prepare('INSERT INTO root VALUES (?)').run(root)
      })
    }
    const { files, skipped } = documentsIn(root, { without: [dirname(this.#file)], isPackage })
    const known = new Map(
      this.#db
        .prepare('SELECT path, mtime, size FROM documents')
        .all()
        .map(row => [row.path, row]),
    )
    const changed = files.filter(({ path, mtime, size }) => {
      const row = known.get(path)
      return row?.mtime !== mtime || row.size !== size
    })
    const present = new Set(files.map(({ path }) => path))
    const gone = [...known.keys()].map(String).filter(path => !present.has(path))

    // One transaction for many documents; none stays open while a file is read.
    for (const path of gone) this.#forget(path)
    for (let i = 0; i < changed.length; i += 50) {
      const batch = changed.slice(i, i + 50)
      const contents = await Promise.all(batch.map(file => contentOf(join(root, file.path))))
      this.#transaction(() => batch.forEach((file, j) => this.#store(file, contents[j]!)))
      progress?.(Math.min(i + 50, changed.length), changed.length)
    }
    const count = (table: string) => Number(this.#db.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n)
    const unreadable = this.#db
      .prepare('SELECT path, problem FROM documents WHERE problem IS NOT NULL ORDER BY path')
      .all()
    return {
      documents: count('documents') - unreadable.length,
      passages: count('passages'),
      read: changed.length,
      unreadable: unreadable.map(row => ({ path: String(row.path), problem: String(row.problem) })),
      skipped,
    }
  }

  /** Never throws: characters that are not words are no operators either. */
  search(query: string, limit = 8): Hit[] {
    return search(this.#db, query, limit)
  }

  read(id: string): Found | undefined {
    return this.#db.prepare('SELECT id, path, heading, place, text FROM passages WHERE id = ?').get(id) as
      | Found
      | undefined
  }

  close() {
    this.#db.close()
  }

  #forget(path: string) {
    this.#db.prepare('DELETE FROM contents WHERE rowid IN (SELECT rowid FROM passages WHERE path = ?)').run(path)
    this.#db.prepare('DELETE FROM passages WHERE path = ?').run(path)
    this.#db.prepare('DELETE FROM documents WHERE path = ?').run(path)
  }

  #store({ path, mtime, size }: DocumentFile, { passages, problem }: Content) {
    this.#forget(path)
    this.#db.prepare('INSERT INTO documents VALUES (?, ?, ?, ?)').run(path, mtime, size, problem)
    const insert = this.#db.prepare('INSERT INTO passages (id, path, heading, place, text) VALUES (?, ?, ?, ?, ?)')
    const index = this.#db.prepare('INSERT INTO contents (rowid, name, heading, prose, code) VALUES (?, ?, ?, ?, ?)')
    passages.forEach(({ text, heading, place }, i) => {
      const { lastInsertRowid } = insert.run(`${citable(path)}#${i + 1}`, path, heading, place, text)
      const { prose, code } = proseAndCode(text)
      index.run(lastInsertRowid, nameOf(path), heading, prose, code)
    })
  }

  #transaction(work: () => void) {
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      work()
      this.#db.exec('COMMIT')
    } catch (error) {
      this.#db.exec('ROLLBACK')
      throw error
    }
  }
}

interface Content {
  readonly passages: ReturnType<typeof passagesOf>
  readonly problem: string | null
}

async function contentOf(file: string): Promise<Content> {
  try {
    const pages = await pagesOf(file)
    return { passages: pages.flatMap(({ text, page }) => passagesOf(text, page)), problem: null }
  } catch (error) {
    return { passages: [], problem: error instanceof Error ? error.message : String(error) }
  }
}

/** Citations put identifiers in brackets. */
const citable = (path: string) => path.replace(/[[\]\s]/g, encodeURIComponent)

/** The words of a path: the names of the package and the folders, but not README. */
const nameOf = (path: string) =>
  path.replace(/\bnode_modules\b|\.\w+$/g, ' ').replace(/\breadme\b|\bindex\b|\bdocs?\b/gi, ' ')
