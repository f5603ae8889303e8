import { setTimeout as delay } from 'node:timers/promises'
import { agent } from '../../src/agents/agent.ts'
import { app } from '../../src/runtime/app.ts'
import type { StranglerOptions } from '../../src/runtime/strangler.ts'

/* What the trial migrates: a function that sums, and an agent that is to take its place. */

export interface ReportRequest {
  readonly user: string
  readonly n: number
  /** What the candidate does wrong. */
  readonly fault?: 'fails' | 'hangs' | 'wrong'
  /** Whether `old` may answer it after the candidate. */
  readonly repeatable?: boolean
}

interface Report {
  readonly total: number
  readonly side: 'old' | 'candidate'
  readonly createdAt: number
}

const writer = agent('writer', {
  async run(ctx, { n, fault }: ReportRequest): Promise<Report> {
    if (fault === 'fails') throw new Error('the candidate failed')
    if (fault === 'hangs') await ctx.sleep('1h')
    const createdAt = await ctx.step('write', () => performance.now())
    return { total: fault === 'wrong' ? n + 1 : n * 2, side: 'candidate', createdAt }
  },
})

export const writing = app({ name: 'writing', use: [writer] })

export const reportOptions: StranglerOptions<ReportRequest, Report> = {
  async old({ n }) {
    await delay(2 + Math.random() * 5)
    return { total: n * 2, side: 'old', createdAt: performance.now() }
  },
  candidate: 'writer',
  key: ({ user }) => user,
  repeatable: ({ repeatable = false }) => repeatable,
  compare: { ignore: ['side'] },
  effects: { 'step/writer': 'live' },
  within: '40s',
  rollback: { errorRate: 0.05, p95: '15s', parity: 0.95, window: '20s', minRequests: 20 },
}

export const strangledName = 'reports'
