import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { defineConfig } from 'vitest/config'

// Kill processes by the dozen, or run a cluster: after all others, two at a time.
const heavy = [
  'test/kills/*.test.ts',
  'test/boundaries/*.test.ts',
  'test/crashloop/*.test.ts',
  'test/gateway-kills/*.test.ts',
  'test/tap-trial/*.test.ts',
  'test/mcp/kills/*.test.ts',
  'test/deploy.test.ts',
]
const every = {
  globalSetup: ['test/lib/nats-setup.ts', 'test/lib/kafka-setup.ts'],
  env: { TIDINGS_LOG_LEVEL: 'silent' },
  // For a machine that does other work: what hangs is found by the bound of the wait that hangs.
  testTimeout: 180_000,
  hookTimeout: 180_000,
}

/** Small files that take long, some of them because they wait. */
const long = [
  'test/mcp/conformance/client.test.ts',
  'test/guides.test.ts',
  'src/drivers/nats/nats.test.ts',
  'src/drivers/sqlite/sqlite.test.ts',
  'test/steps/kill.test.ts',
]

/** Large files start first, so that the workers end together. Small ones that take long would be the last. */
class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]) {
    const isLong = ({ moduleId }: TestSpecification) => long.some(file => moduleId.endsWith(`/${file}`))
    return (await super.sort(files)).toSorted((a, b) => Number(isLong(b)) - Number(isLong(a)))
  }
}

export default defineConfig({
  test: {
    allowOnly: false,
    globalSetup: ['test/lib/compiled-setup.ts'],
    reporters: ['default', './scripts/reporter.ts'],
    sequence: { sequencer: LongFirst },
    projects: [
      // Most tests wait for other processes: as many workers as cores would leave a core idle.
      {
        test: {
          ...every,
          name: 'light',
          include: ['{src,test,examples}/**/*.test.ts'],
          // What docs/testing.md shows runs with `node --test`: test/readme.test.ts.
          exclude: [...heavy, 'examples/first/*.test.ts'],
          maxWorkers: 4,
          sequence: { groupOrder: 0 },
        },
      },
      { test: { ...every, name: 'heavy', include: heavy, maxWorkers: 2, sequence: { groupOrder: 1 } } },
    ],
  },
})
