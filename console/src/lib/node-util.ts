/* What the sources that the console shares with the runtime take from `node:util`, for browsers: vite replaces the import. */

/** Pages colour by style sheets. */
export const styleText = (_style: unknown, text: string): string => text

export const types = { isRegExp: (value: unknown): boolean => value instanceof RegExp }

export const inspect = (value: unknown): string => String(value)
