import { TidingsError } from '../../errors.ts'

/** Whether an address is on the list; without a list every address is. @throws E_APP_INVALID */
export function recipientRule(list: readonly string[] | undefined): (address: string) => boolean {
  if (!list) return () => true
  const rules = new Set(list.map(rule => rule.toLowerCase()))
  for (const rule of rules)
    if (!/^[^@\s]+@[^@\s]+$/.test(rule))
      throw new TidingsError('E_APP_INVALID', `"${rule}" in recipients is neither an address nor *@domain`)
  return address => {
    const known = address.toLowerCase()
    return rules.has(known) || rules.has(`*@${known.slice(known.lastIndexOf('@') + 1)}`)
  }
}
