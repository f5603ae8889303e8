import { defineConfig } from 'vitest/config'

// Kill processes by the dozen, or run a cluster: each has the machine to itself, behind all others.
const heavy = ['test/kills/*.test.ts', 'test/boundaries/*.test.ts', 'test/crashloop/*.test.ts', 'test/deploy.test.ts']
const every = {
  globalSetup: ['test/lib/nats-setup.ts'],
  env: { TIDINGS_LOG_LEVEL: 'silent' },
  // For a machine that does other work: what hangs is found by the bound of the wait that hangs.
  testTimeout: 60_000,
  hookTimeout: 60_000,
}

export default defineConfig({
  test: {
    allowOnly: false,
    globalSetup: ['test/lib/compiled-setup.ts'],
    reporters: ['default', './scripts/reporter.ts'],
    projects: [
      // Most tests wait for other processes: one worker would leave a core idle.
      {
        test: {
          ...every,
          name: 'light',
          include: ['{src,test,examples}/**/*.test.ts'],
          // What docs/testing.md shows runs with `node --test`: test/readme.test.ts.
          exclude: [...heavy, 'examples/first/*.test.ts'],
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      { test: { ...every, name: 'heavy', include: heavy, maxWorkers: 1, sequence: { groupOrder: 1 } } },
    ],
  },
})
