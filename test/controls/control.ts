/** Replaces `find`, which occurs exactly once in `file`, by `replace`. */
export interface Patch {
  file: string
  find: string
  replace: string
}

/**
 * Takes one fix out of the source, to show that a test notices. Each file of this folder exports one as its default;
 * `npm run controls` applies them one by one to a copy of the project.
 */
export type Control = {
  /** The fault that comes back, in one sentence. */
  fault: string
  /** The test file that must fail. */
  test: string
  /** Only tests whose full name matches, as with `vitest -t`. */
  name?: string
} & (Patch | { patches: Patch[] })
