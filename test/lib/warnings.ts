import { onTestFinished } from 'vitest'

/** What the process warns of until the end of the test. */
export function warnings(): string[] {
  const warned: string[] = []
  const listen = (warning: Error) => warned.push(warning.message)
  process.on('warning', listen)
  onTestFinished(() => void process.off('warning', listen))
  return warned
}
