import { describe, test } from 'vitest'

const reported = new Set<string>()

/** Tests that need what may be missing. `lack` says why it is; then they are left out, or fail where brokers are required. */
export function describeUnless(lack: string | undefined, name: string, body: () => void): void {
  if (lack === undefined) describe(name, body)
  else if (process.env.TIDINGS_REQUIRE_BROKERS)
    test(`${name}: what it needs is there`, () => {
      throw new Error(lack)
    })
  else {
    if (!reported.has(lack)) console.log(`tests are left out: ${lack}`)
    reported.add(lack)
    describe.skip(`${name} (${lack})`, body)
  }
}
