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

const candidates = `
  SELECT contents.rowid AS number, id, path, name, contents.heading, prose, best.score
  FROM (
    SELECT rowid, -bm25(contents, 8, 2, 1, 0.25) AS score FROM contents
    WHERE contents MATCH ? ORDER BY score DESC LIMIT 100
  ) AS best
  JOIN contents ON contents.rowid = best.rowid JOIN passages ON passages.rowid = best.rowid`

// node:sqlite binds numbers as REAL, and FTS5 ignores a REAL rowid.
const snippet = `SELECT snippet(contents, 2, '', '', ' … ', 40) AS text FROM contents WHERE contents MATCH ? AND rowid = CAST(? AS INTEGER)`

/**
 * Matches any of the words, ranked by BM25. The name of the package and the heading weigh more than the text; code weighs less.
 * Adjacent words of the question count again, and passages with more of the words rank higher.
 */
export function search(db: DatabaseSync, query: string, limit: number): Hit[] {
  const words = wordsOf(query).slice(0, 32)
  const telling = words.filter(word => !stopWords.has(word))
  const terms = [...new Set(telling.length > 0 ? telling : words)]
  if (terms.length === 0) return []
  const pairs = words.slice(1).flatMap((word, i) => {
    const pair = [words[i]!, word]
    return pair.every(each => terms.includes(each)) ? [pair.join(' ')] : []
  })
  const match = [...new Set([...terms, ...pairs])].map(phrase => `"${phrase}"`).join(' OR ')

  return db
    .prepare(candidates)
    .all(match)
    .map(row => {
      const held = wordsOf([row.name, row.heading, row.prose].join(' '))
      const coverage = terms.filter(term => held.some(word => word.startsWith(rootOf(term)))).length / terms.length
      return { row, score: Number(row.score) * (0.25 + coverage) }
    })
    .toSorted((a, b) => b.score - a.score || Number(a.row.number) - Number(b.row.number))
    .slice(0, limit)
    .map(({ row, score }) => ({
      id: String(row.id),
      path: String(row.path),
      heading: String(row.heading),
      snippet: String(db.prepare(snippet).get(match, row.number!)?.text),
      score: Math.round(score * 1000) / 1000,
    }))
}

/** Splits like the tokenizer of the index. */
const wordsOf = (text: string) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []

const rootOf = (word: string) => (word.length > 4 ? word.replace(/(?:ings?|ed|es|s|e)$/, '') : word)
