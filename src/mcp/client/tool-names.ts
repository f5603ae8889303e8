import { hash } from 'node:crypto'

/*
 * A tool of a server has the name `SERVER.WORD` on the log: `searchIssues` of `github` is `github.search_issues`. Names on the log are
 * lower-case words, and models accept 64 characters, so a name that does not fit, or that two tools share, ends in a digest of the original.
 */

const maxLength = 64
const digestLength = 6

/** The names on the log of the tools of a server, by their names on the server. */
export function durableNames(server: string, names: readonly string[]): Map<string, string> {
  const words = Map.groupBy(names, wordOf)
  return new Map(
    names.map(name => {
      const word = wordOf(name)
      const isAlone = words.get(word)!.length === 1 || name === word
      const plain = `${server}.${word}`
      if (isAlone && plain.length <= maxLength) return [name, plain]
      const end = `_${hash('sha256', name).slice(0, digestLength)}`
      return [name, `${plain.slice(0, maxLength - end.length)}${end}`]
    }),
  )
}

const wordOf = (name: string) =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '_')
