import { clusterDivergences, titleOf } from './cluster.ts'
import { pathText, type Divergence } from './divergence.ts'
import type { ReplayOutcome } from './replayer.ts'
import { locationText, shortfall, type GateRequirements } from './report.ts'

/** JUnit XML: a suite for each program, a case for each cluster of divergences, and a case that fails if too little was replayed. */
export function junit(outcome: ReplayOutcome, demand: GateRequirements): string {
  const open = clusterDivergences(outcome.divergences, demand.accepted).filter(cluster => !cluster.accepted)
  const suites = [...Map.groupBy(open, ({ divergences }) => divergences[0].program)].toSorted(([a], [b]) =>
    a < b ? -1 : 1,
  )
  const lines = suites.flatMap(([program, found]) => [
    `  <testsuite name="${escape(program)}" tests="${found.length}" failures="${found.length}">`,
    ...found.map(
      ({ divergences: [first, ...more], title, signature }) =>
        `    <testcase classname="${escape(program)}" name="${escape(title)} (${signature})"${locationAttributes(first)}>` +
        `<failure message="${escape(`${more.length + 1} × ${title}`)}">${escape(detail(first))}</failure></testcase>`,
    ),
    '  </testsuite>',
  ])
  const same = outcome.turns - outcome.diverged
  const short = shortfall(outcome, demand)
  const failure = short === undefined ? '' : `<failure message="${escape(short)}"/>`
  const failed = failure === '' ? 0 : 1
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="replay" tests="${open.length + 1}" failures="${open.length + failed}">`,
    `  <testsuite name="replay" tests="1" failures="${failed}">`,
    `    <testcase classname="replay" name="${same} of ${outcome.turns} turns as recorded">${failure}</testcase>`,
    '  </testsuite>',
    ...lines,
    '</testsuites>',
    '',
  ].join('\n')
}

function locationAttributes({ sourceLocation }: Divergence): string {
  const [, file, line] = /^(.*):(\d+):\d+$/.exec(sourceLocation ?? '') ?? []
  return file === undefined ? '' : ` file="${escape(locationText(file))}" line="${line}"`
}

function detail(divergence: Divergence): string {
  const changes = divergence.changes.map(
    ({ path, before, after }) =>
      `${pathText(path)}\n- ${JSON.stringify(before) ?? '(absent)'}\n+ ${JSON.stringify(after) ?? '(absent)'}`,
  )
  return [`${titleOf(divergence)}`, `turn ${divergence.turn} of ${divergence.task}`, ...changes].join('\n')
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' }

// XML 1.0 has no way to write most control characters.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are removed
const unwritable = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g

const escape = (text: string) =>
  text
    .toWellFormed()
    .replace(unwritable, '\ufffd')
    .replace(/[&<>"']/g, char => entities[char]!)
