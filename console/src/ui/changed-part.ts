/** How much of the text around a change is shown. */
const context = 80

/** The part in which two texts differ, at word boundaries, and some of what is the same before and after it. */
export function changedPart(before: string, after: string): { start: string; end: string; was: string; is: string } {
  const shorter = Math.min(before.length, after.length)
  let from = 0
  while (from < shorter && before[from] === after[from]) from++
  while (from > 0 && isInWord(before[from - 1])) from--
  let tail = 0
  while (tail < shorter - from && before.at(-1 - tail) === after.at(-1 - tail)) tail++
  while (tail > 0 && isInWord(before.at(-tail))) tail--
  const [start, end] = [before.slice(0, from), tail === 0 ? '' : before.slice(-tail)]
  return {
    start: start.length > context ? `…${start.slice(-context)}` : start,
    end: end.length > context ? `${end.slice(0, context)}…` : end,
    was: before.slice(from, before.length - tail),
    is: after.slice(from, after.length - tail),
  }
}

const isInWord = (character: string | undefined) => character !== undefined && /[\p{L}\p{N}]/u.test(character)
