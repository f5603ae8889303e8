import type { Control } from './control.ts'

export default {
  fault: 'A parity report with many noisy fields raises false alarms.',
  file: 'src/strangler/statistics.ts',
  find: 'export const signTest = (onlyCandidate: number, onlyRepeat: number): number =>\n  binomialTail(onlyCandidate, onlyCandidate + onlyRepeat, 0.5)',
  replace:
    'export const signTest = (onlyCandidate: number, onlyRepeat: number): number =>\n  binomialTail(onlyCandidate, onlyCandidate + onlyRepeat, 0.4)',
  test: 'src/strangler/statistics.test.ts',
  name: 'have no false alarm',
} satisfies Control
