import { TidingsError } from '../errors.ts'

/** Names stand in sources, ids and keys of documents. @throws E_APP_INVALID */
export function assertTriggerName(name: string): void {
  if (!/^[a-z][a-z0-9-]{0,62}$/.test(name))
    throw new TidingsError('E_APP_INVALID', `"${name}" is not a name of a trigger: lower-case words with dashes`)
}
