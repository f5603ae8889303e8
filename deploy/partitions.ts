import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/*
 * Prints the permissions of nats/accounts.conf for a log with several partitions, whose streams are tidings_0 to tidings_N-1:
 * `node deploy/partitions.ts 3 > accounts.conf`.
 */

const template = join(import.meta.dirname, 'nats/accounts.conf')

/** The subjects of the API name the stream: with several partitions each stands once for each of them. */
export function accountsFor(partitions: number): string {
  const text = readFileSync(template, 'utf8')
  if (partitions === 1) return text
  return text.replace(/"(\$JS\.[^"]*\.)tidings((?:\.[^"]*)?)"/g, (_, before: string, after: string) =>
    Array.from({ length: partitions }, (_each, partition) => `"${before}tidings_${partition}${after}"`).join(', '),
  )
}

if (import.meta.main) console.log(accountsFor(Number(process.argv[2] ?? 1)))
