import { OperationButton } from './operation-button.tsx'

interface PauseButtonProps {
  readonly kind: 'agent' | 'tool' | 'model'
  readonly name: string
  readonly paused: boolean
  readonly small?: boolean
}

/** Pauses an agent, tool or model, or resumes it. */
export const PauseButton = ({ kind, name, paused, small = false }: PauseButtonProps) => (
  <OperationButton
    commands={[{ action: paused ? 'resume' : 'pause', kind, name }]}
    small={small}
    {...(small && { label: `${paused ? 'Resume' : 'Pause'} ${kind} ${name}` })}
  />
)
