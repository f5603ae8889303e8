import { z } from 'zod'
import { agent, app, smtp, tool } from '../../src/index.ts'
import { plainModel, readIn, type Said } from '../lib/plain-model.ts'

/*
 * Twelve agents that make a letter of a mail, in sixteen tasks with fifteen model calls and six tool calls:
 *
 *     email.received ─▶ desk ─┬─▶ planner
 *                             ├─▶ scout × 3 ─▶ researcher ⇄ library.search
 *                             ├─▶ editor ─▶ writer, checker ⇄ facts.check, reviewer
 *                             ├─▶ translator, illustrator ⇄ picture.draw
 *                             └─▶ publisher ⇄ letter.post ─▶ letter.posted ─▶ archivist, whom nobody calls
 */

const search = tool('library.search', {
  description: 'Finds passages.',
  input: z.object({ q: z.string() }),
  run: ({ q }) => [`The ${q} was built in 1870.`],
})
const check = tool('facts.check', {
  description: 'Checks a text against the record.',
  input: z.object({ text: z.string() }),
  run: ({ text }) => ({ statements: text.split('.').length - 1, wrong: 0 }),
})
const draw = tool('picture.draw', {
  description: 'Draws a picture.',
  input: z.object({ of: z.string() }),
  run: ({ of }) => ({ of, svg: `<svg>${'<g/>'.repeat(3_000)}</svg>` }),
})
const post = tool('letter.post', {
  description: 'Posts a letter.',
  input: z.object({ to: z.string(), letter: z.string() }),
  atMostOnce: true,
  run: ({ to }) => `posted to ${to}`,
})

/** What the model says to each of them, given what there is to read. */
const says: Record<string, (read: readonly string[]) => Said> = {
  planner: () => JSON.stringify({ parts: ['harbour', 'mill', 'lighthouse'] }),
  researcher: ([part, found]) =>
    found ? `Of the ${part}: ${found}` : [{ id: 'c1', tool: 'library_search', input: { q: part } }],
  writer: ([notes]) => `A letter. ${notes}`,
  checker: ([text, checked]) => checked ?? [{ id: 'c1', tool: 'facts_check', input: { text } }],
  reviewer: () => 'good',
  translator: ([text]) => `Ein Brief. ${text}`,
  illustrator: ([, drawn]) => (drawn ? 'a picture' : [{ id: 'c1', tool: 'picture_draw', input: { of: 'the mill' } }]),
  archivist: () => 'filed',
}

const { model } = plainModel(prompt => {
  const [first] = prompt
  const name = first?.role === 'system' ? first.content.split(':')[0]! : ''
  return says[name]!(readIn(prompt))
})

const planner = agent('planner', {
  model,
  instructions: 'planner: Split the mail into parts.',
  output: z.object({ parts: z.array(z.string()) }),
})
const researcher = agent('researcher', { model, instructions: 'researcher: Look it up.', tools: [search] })
const scout = agent('scout', { run: (ctx, part: string) => ctx.call(researcher, part) })
const writer = agent('writer', { model, instructions: 'writer: Write a letter of the notes.' })
const checker = agent('checker', { model, instructions: 'checker: Check the facts.', tools: [check] })
const reviewer = agent('reviewer', { model, instructions: 'reviewer: Say whether it is good.' })
const translator = agent('translator', { model, instructions: 'translator: Into German.' })
const illustrator = agent('illustrator', { model, instructions: 'illustrator: Draw one picture.', tools: [draw] })

const editor = agent('editor', {
  async run(ctx, notes: string) {
    const letter = await ctx.call(writer, notes)
    const [facts, verdict] = await ctx.all([at => at.call(checker, letter), at => at.call(reviewer, letter)])
    return { letter, facts, verdict }
  },
})

const publisher = agent('publisher', {
  async run(ctx, { to, letter }: { to: string; letter: string }) {
    const posted = await ctx.call(post, { to, letter })
    ctx.emit({ type: 'letter.posted', data: { to, letter } })
    return posted
  },
})

const desk = agent('desk', {
  on: 'email.received',
  async run(ctx, { from, text }: { from: { address: string }; text: string }) {
    const { parts } = await ctx.call(planner, text)
    const notes = await ctx.all(parts.map(part => at => at.call(scout, part)))
    await ctx.sleep(20)
    const { letter } = await ctx.call(editor, notes.join('\n'))
    const [german, picture] = await ctx.all([at => at.call(translator, letter), at => at.call(illustrator, letter)])
    return ctx.call(publisher, { to: from.address, letter: [letter, german, picture].join('\n') })
  },
})

const archivist = agent('archivist', { on: 'letter.posted', model, instructions: 'archivist: File it.' })

const agents = [
  desk, planner, scout, researcher, editor, writer, checker, reviewer, translator, illustrator, publisher, archivist,
] // biome-ignore format: one list

export default app({ name: 'twelve', use: [...agents, search, check, draw, post, smtp()] })
