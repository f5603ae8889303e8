import type { Why } from './reasons.ts'

/** Reasons as flat objects, in drawing order. `causeOf` names the effect. */
export function* whyRecords({ reasons, rest }: Why, caused?: string): Generator<object> {
  let causeOf = caused
  for (const { also = [], more, ...reason } of reasons) {
    yield { ...reason, ...(causeOf !== undefined && { causeOf }) }
    causeOf = reason.event.id
    for (const other of also) yield* whyRecords(other, causeOf)
    if (more !== undefined) yield { more, causeOf }
  }
  if (rest) yield { [rest.is]: rest.id, causeOf }
}
