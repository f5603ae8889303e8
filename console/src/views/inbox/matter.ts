/** What is approved: a tool with its input, or what a program shows. */
interface Matter {
  readonly tool?: string
  readonly input: unknown
}

/** The parts of `what` in a request for approval: docs/approval.md. */
export function matterOf(what: unknown): Matter {
  if (typeof what !== 'object' || what === null || !('input' in what)) return { input: what }
  const { tool, input } = what as { tool?: unknown; input: unknown }
  return typeof tool === 'string' ? { tool, input } : { input }
}

/** Its beginning, on one line. */
export function summarizeMatter(what: unknown): string {
  const { input } = matterOf(what)
  const text = typeof input === 'string' ? input : fieldsText(input)
  return text.slice(0, 400).replace(/\s+/g, ' ')
}

function fieldsText(value: unknown): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return JSON.stringify(value) ?? ''
  return Object.entries(value)
    .map(([name, each]) => `${name}: ${typeof each === 'string' ? each : JSON.stringify(each)}`)
    .join(' · ')
}
