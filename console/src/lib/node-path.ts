/* What the sources that the console shares with the runtime take from `node:path`, for browsers: vite replaces the import. */

export const relative = (_from: string, to: string): string => to
