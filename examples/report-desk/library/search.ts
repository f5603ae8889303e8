import type { DatabaseSync } from 'node:sqlite'

export interface Hit {
  readonly id: string
  readonly path: string
  readonly heading: string
  readonly snippet: string
  readonly score: number
}

const stopWords = new Set(
  `a an and are as at be but by can did do does for from had has have how i if in into is it its me my no not of on or
  our s so t than that the their them then there these they this to us was we were what when where which who whom whose
  why will with would you your about any`.split(/\s+/),
)

const sql = `
  SELECT id, path, contents.heading, contents.name, contents.text,
         snippet(contents, 2, '', '', ' … ', 40) AS snippet, -bm25(contents, 8, 2, 1) AS score
  FROM contents JOIN passages ON passages.rowid = contents.rowid
  WHERE contents MATCH ? ORDER BY score DESC LIMIT 120`

/**
 * Any of the words, by BM25, with the name of the package and the heading weighing more than the text. Word pairs that
 * stand together count once more, and so does a passage in the measure in which it holds all the words.
 */
export function search(db: DatabaseSync, query: string, limit: number): Hit[] {
  const words = wordsOf(query).slice(0, 32)
  const telling = words.filter(word => !stopWords.has(word))
  const terms = [...new Set(telling.length > 0 ? telling : words)]
  if (terms.length === 0) return []
  const pairs = words.slice(1).map((word, i) => `"${words[i]} ${word}"`)
  const match = [...terms.map(term => `"${term}"`), ...new Set(pairs)].join(' OR ')

  return db
    .prepare(sql)
    .all(match)
    .map(row => {
      const held = wordsOf(`${row.name} ${row.heading} ${row.text}`)
      const coverage = terms.filter(term => held.some(word => word.startsWith(rootOf(term)))).length / terms.length
      return {
        id: String(row.id),
        path: String(row.path),
        heading: String(row.heading),
        snippet: String(row.snippet),
        score: Math.round(Number(row.score) * (0.25 + coverage) * 1000) / 1000,
      }
    })
    .toSorted((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1))
    .slice(0, limit)
}

/** As the tokenizer of the index splits. */
const wordsOf = (text: string) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []

const rootOf = (word: string) => (word.length > 4 ? word.replace(/(?:ings?|ed|es|s|e)$/, '') : word)
