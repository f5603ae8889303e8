const streamPaths =
  /^\/(events\/(stream|socket)|health\/stream|tasks\/[^/]+\/stream|ui\/chat\/[^/]+\/[^/]+\/stream|ag-ui\/[^/]+\/[^/]+)$/

/** Whether a GET of this path opens a stream. */
export const isStreamPath = (path: string): boolean => streamPaths.test(path)
