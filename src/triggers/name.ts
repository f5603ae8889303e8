import { TidingsError } from '../errors.ts'

/** Names are part of event sources, ids and document keys. @throws E_APP_INVALID */
export function assertTriggerName(name: string): void {
  if (!/^[a-z][a-z0-9-]{0,62}$/.test(name))
    throw new TidingsError('E_APP_INVALID', `invalid trigger name "${name}": use lower-case words with dashes`)
}
