import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['{src,test,examples}/**/*.test.ts'],
    globalSetup: ['test/lib/nats-setup.ts'],
    allowOnly: false,
    env: { TIDINGS_LOG_LEVEL: 'silent' },
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: ['default', './scripts/reporter.ts'],
  },
})
