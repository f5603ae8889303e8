import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

/* The bus is the only caller of drivers: everything else asks the bus, which validates, redacts and measures. */

const root = join(import.meta.dirname, '..')
const exempt = /^src\/(bus|drivers|testing)\/|\.test\.ts$/

test('only the bus calls drivers', () => {
  const offences = globSync('src/**/*.ts', { cwd: root })
    .filter(file => !exempt.test(file))
    .flatMap(file =>
      readFileSync(join(root, file), 'utf8')
        .split('\n')
        .flatMap((line, i) =>
          /[bB]us\.driver\b|\{[^}]*\bdriver\b[^}]*\}(?:: Bus\b| = .*[bB]us\b)/.test(line)
            ? [`${file}:${i + 1}: ${line.trim()}`]
            : [],
        ),
    )
  expect(offences).toEqual([])
})
