import { expect, it } from 'vitest'
import first from '../../examples/first/app.ts'
import { bearer, keyFor, policyFile } from '../lib/identity.ts'
import { describeNatsServer } from '../lib/nats.ts'
import { eventsOf } from '../lib/world.ts'
import { guarded, role, violations } from './lib/guarded.ts'

describeNatsServer('commands of operators, with the permissions of the template', () => {
  it('let the gateway ask, and the agents execute what their own policy permits', async () => {
    const nats = await guarded()
    const roles = { operator: { operate: true } }
    const policy = await policyFile({ roles })
    const agents = await role(nats, 'agents', first, { policy })
    const key = await keyFor(agents.bus, 'ann', 'operator')
    // The policy of this gateway was changed by somebody who took it over.
    const wide = await policyFile({ roles: { ...roles, guest: { operate: true } } })
    const { addresses } = await role(nats, 'gateway', first, { port: 0, policy: wide })
    const guest = await keyFor(agents.bus, 'bob', 'guest')
    const pause = async (secret: string) => {
      const response = await fetch(`${addresses[0]}/operations`, {
        method: 'POST',
        headers: { ...bearer(secret), 'content-type': 'application/json', prefer: 'wait=20' },
        body: JSON.stringify({ action: 'pause', kind: 'agent', name: 'helper' }),
      })
      return response.json() as Promise<{ operation: string }>
    }
    expect(await pause(guest)).toMatchObject({ status: 'failed', error: { code: 'E_FORBIDDEN' } })
    expect(agents.pauses.list).toEqual([])
    const { operation } = await pause(key)
    expect(await eventsOf(agents, operation)).toMatchObject([
      { type: 'operation.requested', user: 'ann', source: '/gateway' },
      { type: 'control.paused', user: 'ann' },
      { type: 'operation.completed', user: 'ann', data: { done: 1 } },
    ])
    expect(await violations(nats)).toEqual([])
  })
})
