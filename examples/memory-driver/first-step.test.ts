import { compileFilter, offsetsOf, type CloudEvent } from '../../src/driver.ts'
import { driverConformance, type DriverUnderTest } from '../../src/testing/conformance/index.ts'

/** Opens one member of a log. `texts` stands for your store: the JSON of each event, in order. */
function openLog(texts: string[]): DriverUnderTest {
  return {
    partitions: 1,
    async publish(entries) {
      const batch = entries.map(({ json }) => json)
      return batch.map(json => ({ position: { partition: 0, offset: texts.push(json) }, duplicate: false }))
    },
    head: async () => String(texts.length),
    async *read(query) {
      if ('task' in query) return
      const matches =
        'correlation' in query
          ? (event: CloudEvent) => event.correlationid === query.correlation
          : compileFilter(query.filter ?? [{ types: ['>'] }])
      const end = offsetsOf(query.until ?? String(texts.length), 1)[0]!
      let offset = offsetsOf(query.after ?? '0', 1)[0]!
      while (offset < end) {
        const event = JSON.parse(texts[offset++]!) as CloudEvent
        if (matches(event)) yield { position: { partition: 0, offset }, event, cursor: String(offset) }
      }
    },
    close: async () => {},
  }
}

driverConformance('first', {
  parts: ['EventLog'],
  storesDuplicates: true,
  async fresh() {
    const texts: string[] = []
    return { open: async () => openLog(texts), remove: async () => {} }
  },
})
