import { Button } from '../../ui/button.tsx'
import { Icon } from '../../ui/icon.tsx'

/** Approve and deny. */
export const AnswerButtons = ({ onAnswer }: { onAnswer: (answer: 'grant' | 'deny') => void }) => (
  <>
    <Button look="primary" onClick={() => onAnswer('grant')} title="Approve (a)">
      <Icon name="check" />
      Approve
    </Button>
    <Button look="danger" onClick={() => onAnswer('deny')} title="Deny (d)">
      <Icon name="close" />
      Deny
    </Button>
  </>
)
