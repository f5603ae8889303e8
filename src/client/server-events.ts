/** A block of a stream of server-sent events. Fields that it does not have are undefined. */
export interface ServerEvent {
  readonly event?: string
  readonly id?: string
  readonly data?: string
}

/** Gateways send something at least every 15 seconds; a connection that is silent for longer is dead. */
const maxSilenceMs = 45_000

/** The blocks of a response, including those without data. Ends with the connection, or when it is dead; does not throw. */
export async function* serverEvents({ body }: Response): AsyncGenerator<ServerEvent> {
  const reader = body!.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader()
  let timer: ReturnType<typeof setTimeout> | undefined
  let rest = ''
  try {
    for (;;) {
      timer = setTimeout(() => void reader.cancel().catch(() => {}), maxSilenceMs)
      const { value, done } = await reader.read().catch(() => ({ value: undefined, done: true }))
      clearTimeout(timer)
      if (done) return
      const blocks = (rest + value).split(/\r?\n\r?\n/)
      rest = blocks.pop()!
      for (const block of blocks) yield parse(block)
    }
  } finally {
    clearTimeout(timer)
    void reader.cancel().catch(() => {})
  }
}

function parse(block: string): ServerEvent {
  const fields: Record<string, string> = {}
  for (const line of block.split(/\r?\n/)) {
    const [, name, value = ''] = /^([^:]+):? ?(.*)$/s.exec(line) ?? []
    if (name !== undefined) fields[name] = name in fields ? `${fields[name]}\n${value}` : value
  }
  return fields
}
