import type { Graph, GraphNode } from './graph.ts'

/** The graph as a Mermaid flowchart. Source: mermaid.js.org/syntax/flowchart.html. */
export function mermaid({ nodes, edges }: Graph): string {
  const names = new Map(nodes.map(({ id }, i) => [id, `n${i}`]))
  return [
    'flowchart TD',
    ...nodes.map(node => `  ${names.get(node.id)}${shape(node)}${node.state ? `:::${node.state}` : ''}`),
    ...edges.map(({ from, to, label }) => {
      const arrow = label === undefined ? '-->' : `-->|${quoted(label)}|`
      return `  ${names.get(from)} ${arrow} ${names.get(to)}`
    }),
    ...(nodes.some(({ state }) => state) ? styles : []),
  ].join('\n')
}

const styles = [
  '  classDef passed fill:#d9ead3,stroke:#6aa84f,color:#274e13',
  '  classDef reached fill:#6aa84f,stroke:#274e13,color:#ffffff',
  '  classDef active fill:#fff2cc,stroke:#bf9000,color:#7f6000,stroke-width:3px',
  '  classDef open fill:#ffffff,stroke:#999999,color:#333333',
  '  classDef skipped fill:#eeeeee,stroke:#cccccc,color:#999999,stroke-dasharray:4',
]

function shape({ kind, label, progress }: GraphNode): string {
  const text = quoted(progress === undefined ? label : `${label} — ${progress}`)
  if (kind === 'choose' || kind === 'repeat') return `{${text}}`
  if (kind === 'end') return `([${text}])`
  if (kind === 'when') return `>${text}]`
  return kind === 'emit' ? `[/${text}/]` : `[${text}]`
}

const quoted = (text: string) =>
  `"${text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')}"`
