import type { OpenApproval } from '../../../../src/tasks/approval-list.ts'
import { Aside } from '../../ui/aside.tsx'
import { AnswerButtons } from './answer-buttons.tsx'
import { ApprovalMatter } from './approval-matter.tsx'
import { Deadline } from './deadline.tsx'

interface ApprovalDetailsProps {
  readonly request: OpenApproval
  readonly onAnswer: (answer: 'grant' | 'deny') => void
  readonly onClose: () => void
}

/** A request in full: what is approved, for whom, until when, and the buttons. */
export function ApprovalDetails({ request, onAnswer, onClose }: ApprovalDetailsProps) {
  const { id, name, since, until } = request
  return (
    <Aside
      title={name}
      onClose={onClose}
      about={until !== undefined && <Deadline since={since} until={until} />}
      actions={<AnswerButtons onAnswer={onAnswer} />}
    >
      <ApprovalMatter key={id} request={request} />
    </Aside>
  )
}
