/* What the sources that the console shares with the runtime take from `node:url`, for browsers: vite replaces the import. */

export const fileURLToPath = (url: string | URL): string => new URL(url).pathname
