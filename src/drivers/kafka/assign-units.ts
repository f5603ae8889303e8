import { spreadShards } from '../shared/shards.ts'

/** What a member says of itself when it joins. */
export interface UnitClaim {
  readonly member: string
  /** The units that it has, in the generation in which it got them. */
  readonly owned: readonly number[]
  readonly generation: number
  /** False: it takes no units any more, and stays until it has given back those that it has. */
  readonly takesUnits: boolean
}

/**
 * The units of each member, by its id. Even shares; a unit that moves is nobody's until the member that has it joins again without it,
 * so that it never has two owners.
 */
export function assignUnits(units: number, claims: readonly UnitClaim[]): Map<string, number[]> {
  const sorted = claims.toSorted((a, b) => (a.member < b.member ? -1 : 1))
  const holders = Array.from({ length: units }, (_, unit) => holderOf(unit, sorted))
  const takers = sorted.filter(({ takesUnits }) => takesUnits).map(({ member }) => member)
  const owners = spreadShards(takers, holders)
  const isFreeFor = (member: string, unit: number) => holders[unit] === null || holders[unit] === member
  return new Map(
    sorted.map(({ member }) => [
      member,
      owners.flatMap((owner, unit) =>
        owner === member && takers.includes(member) && isFreeFor(member, unit) ? [unit] : [],
      ),
    ]),
  )
}

/** A member that missed a generation may still claim what another one got since. */
function holderOf(unit: number, claims: readonly UnitClaim[]): string | null {
  const [newest] = claims.filter(({ owned }) => owned.includes(unit)).toSorted((a, b) => b.generation - a.generation)
  return newest?.member ?? null
}
