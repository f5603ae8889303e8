import { z } from 'zod'
import { above, both, either, is, not, workflow } from '../../src/index.ts'
import type { Agents } from './agents.ts'
import type { Tools } from './tools.ts'

/*
 * From a question to a report that a person approves:
 *
 *     plan ─┬─ section ─┬─ write ─▶ check ─▶ review ─▶ again, at most twice ─▶ the editor ─┬─ yes ─▶ report.accepted
 *           ├─ section ─┤                                                                 └─ no, or silence ─▶ report.withheld
 *           └─ section ─┴─ nothing found ─▶ report.accepted
 */
export function workflows({ question, check, sort }: Tools, { planner, researcher, writer, reviewer }: Agents) {
  /** One part of the question, answered from the documents. */
  const section = workflow('section', { input: z.object({ question: z.string(), part: z.string() }), within: '1d' })
    .call('findings', researcher, s => s.event)
    .call('checked', check, s => ({ draft: s.findings }))
    .complete(s => ({ part: s.event.part, findings: s.checked.draft }))

  // Version 1 was straight-line code; version 3 says whether the writer is sure.
  const desk = workflow('desk', { on: ['question.asked', 'email.received'], version: 3, within: '7d' })
    .call('asked', question, ({ event: { question, subject, text } }) => ({ question, subject, text }))
    .call('plan', planner, s => s.asked.question)
    .each('notes', s => s.plan.parts, section, { input: (part, s) => ({ question: s.asked.question, part }) })
    .call('sorted', sort, s => ({ question: s.asked.question, notes: s.notes }))
    .choose(
      s => above(s.sorted.found.length, 0),
      some =>
        some
          .call('written', writer, s => ({ question: s.asked.question, notes: s.sorted.found }))
          .call('draft', check, s => ({ draft: s.written }))
          .repeat(
            'polish',
            round =>
              round
                .call('review', reviewer, s => ({ question: s.asked.question, draft: s.draft.draft }))
                .choose(
                  s => either(not(s.review.approved), above(s.draft.removed.length, 0)),
                  again =>
                    again
                      .call('written', writer, s => ({
                        question: s.asked.question,
                        notes: s.sorted.found,
                        draft: s.draft.draft,
                        remarks: s.review.remarks,
                        issues: s.draft.removed,
                      }))
                      .call('draft', check, s => ({ draft: s.written, earlier: s.draft.draft })),
                ),
            { until: s => both(s.review.approved, is(s.draft.removed.length, 0)), maxRounds: 2 },
          )
          // If no sentence passed the check, there is nothing to approve.
          .choose(
            s => not(is(s.draft.draft, '')),
            ask =>
              ask.approve(
                'editor',
                s => ({ question: s.asked.question, draft: s.draft.draft, unanswered: s.sorted.unanswered }),
                {
                  within: '3d',
                  remind: '4h',
                  otherwise: no =>
                    no
                      .emit('report.withheld', s => ({ question: s.asked.question, error: s.error }))
                      .complete(s => ({ question: s.asked.question, withheld: s.error.message })),
                },
              ),
          ),
    )
    .emit('report.accepted', s => ({
      question: s.asked.question,
      sections: s.draft.sections,
      unanswered: s.sorted.unanswered,
      unsure: s.draft.unsure,
      approvedBy: s.editor.by,
    }))
    .complete(s => ({ question: s.asked.question, unanswered: s.sorted.unanswered, approvedBy: s.editor.by }))

  return { desk, section }
}
