import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

/*
 * The part of CONTRIBUTING's rules on names and English that a machine can check. Each test collects offences as `file:line: what`.
 */

const root = join(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const files = (...patterns: string[]) => globSync(patterns, { cwd: root }).toSorted()

test('no exported name is declared twice in src', () => {
  const declaration =
    /^export (?:declare )?(?:abstract )?(?:async )?(?:interface|type|class|function\*?|const|let|enum) ([\w$]+)/gm
  const declared = new Map<string, string[]>()
  // Overloads of a function are one declaration.
  for (const file of files('src/**/*.ts').filter(name => !name.endsWith('.test.ts')))
    for (const name of new Set([...read(file).matchAll(declaration)].map(([, name]) => name!)))
      declared.set(name, [...(declared.get(name) ?? []), file])
  const offences = [...declared]
    .filter(([, where]) => where.length > 1)
    .map(([name, where]) => `${name}: ${where.join(', ')}`)
  expect(offences).toEqual([])
})

/** Words and phrases for which there is a plainer one, and which code and pages therefore do not use. */
const banned: Record<string, RegExp> = {
  'say who acts': /\b(?:whoever|whomever)\b/,
  'say "even if" or "whether"': /\bbe it\b/,
  'say "again" or "new"': /\banew\b/,
  'say "fix"': /\bmend(?:s|ed|ing)?\b/,
  'say "send a sample"': /\bknock(?:s|ed|ing)?\b/,
  'say "classify"': /\bsift(?:s|ed|ing)?\b/,
  'say "certainly", or nothing': /\bsurely\b/,
  'say "still"': /\ball the same\b/,
  'say "permanently"': /\bfor good\b(?! reason)/,
  'say "summary"': /\bgists?\b/,
  'say "signal"': /\bwhispers?\b/,
  'say "notifier"': /\bdoorbells?\b(?!')/,
  'say "run now"': /\bhurr(?:y|ied)\b/,
  'say "evict"': /\bbur(?:y|ied)\b/,
  'say "cancel"': /\bwithdraw(?:s|al)?\b/,
  'say "receives"': /\bhears?\b/,
  'say "is stored in"': /\blies? (?:in|at|on)\b/,
  'say "whose" or "of this"': /\bof which\b/,
  'say "not a"': /\b(?:what|who|that) is no\b/,
  'say "not available"': /\bnot to be had\b/,
  'say "the user" or "they"': /\b(?:he|his|him)\b/,
}

test('code and pages use plain words', () => {
  const pages = files(
    'README.md',
    'ARCHITECTURE.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    'docs/*.md',
    'docs/{guides,triggers}/*.md',
    'examples/**/*.md',
  ).filter(file => !file.includes('node_modules'))
  const isWordList = (file: string) => file === 'src/models/offline/words.ts'
  const rules = Object.entries(banned).map(([advice, pattern]) => ({ advice, pattern: new RegExp(pattern, 'i') }))
  const any = new RegExp(rules.map(({ pattern }) => pattern.source).join('|'), 'i')
  const offences = [...files('src/**/*.ts').filter(file => !isWordList(file)), ...pages].flatMap(file =>
    read(file)
      .split('\n')
      .flatMap((line, i) =>
        any.test(line)
          ? rules
              .filter(({ pattern }) => pattern.test(line))
              .map(({ advice }) => `${file}:${i + 1}: ${advice}: ${line.trim()}`)
          : [],
      ),
  )
  expect(offences).toEqual([])
})
