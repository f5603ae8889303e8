import { TidingsError } from '../../errors.ts'

/** Returns a function that accepts the addresses of the list, or all without a list. @throws E_APP_INVALID */
export function recipientRule(list: readonly string[] | undefined): (address: string) => boolean {
  if (!list) return () => true
  const rules = new Set(list.map(rule => rule.toLowerCase()))
  for (const rule of rules)
    if (!/^[^@\s]+@[^@\s]+$/.test(rule))
      throw new TidingsError('E_APP_INVALID', `invalid recipient "${rule}": expected an address or *@domain`)
  return address => {
    const known = address.toLowerCase()
    return rules.has(known) || rules.has(`*@${known.slice(known.lastIndexOf('@') + 1)}`)
  }
}
