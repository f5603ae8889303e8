import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { htmlText, pagesOf } from './extract.ts'
import { Library } from './library.ts'

let folder: string
let docs: string
let library: Library

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'report-desk-'))
  docs = join(folder, 'docs')
  mkdirSync(docs)
  library = new Library(join(folder, 'home/library.sqlite'))
})

afterEach(() => {
  library.close()
  rmSync(folder, { recursive: true, force: true })
})

function write(path: string, content: string | Uint8Array) {
  mkdirSync(dirname(join(docs, path)), { recursive: true })
  writeFileSync(join(docs, path), content)
}

const found = (query: string) => library.search(query).map(hit => hit.id)

test('a passage is read exactly as it is in its file', async () => {
  write('guide/time.md', '# Time\n\nClocks   go\nforward in *spring*.\n')
  await library.refresh(docs)
  const [id] = found('spring clock')
  const passage = library.read(id!)!
  expect(passage).toMatchObject({ id: 'guide/time.md#1', path: 'guide/time.md', heading: 'Time', place: 'lines 1–4' })
  expect(readFileSync(join(docs, passage.path), 'utf8')).toContain(passage.text)
  expect(library.read('guide/time.md#2')).toBeUndefined()
})

test('any text is a safe query', async () => {
  write('a.md', 'Search operators like NEAR, AND, OR and NOT are words of this text.')
  await library.refresh(docs)
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'grapheme' }),
        fc.constantFrom('a NEAR(b', '"x" OR', 'name:*', '^a AND NOT', 'NOT', "';--"),
      ),
      query => {
        for (const hit of library.search(query)) expect(hit.id).toBe('a.md#1')
      },
    ),
  )
})

test('the package that a question names comes before others with the same text', async () => {
  for (const name of ['alpha', 'beta', 'gamma'])
    write(`node_modules/${name}/README.md`, '# Usage\n\nMessages are compressed when compression is on.')
  await library.refresh(docs)
  expect(found('compression in beta')[0]).toBe('node_modules/beta/README.md#1')
})

test('only what changed is read again', async () => {
  write('a.md', 'The albatross flies.')
  write('b.md', 'The badger digs.')
  expect(await library.refresh(docs)).toMatchObject({ documents: 2, passages: 2, read: 2 })
  expect(await library.refresh(docs)).toMatchObject({ documents: 2, read: 0 })

  write('b.md', 'The beaver builds dams.')
  write('c.md', 'The cormorant dives.')
  rmSync(join(docs, 'a.md'))
  expect(await library.refresh(docs)).toMatchObject({ documents: 2, passages: 2, read: 2 })
  expect(found('albatross badger')).toEqual([])
  expect(found('beaver')).toEqual(['b.md#1'])

  const other = join(folder, 'other')
  cpSync(join(docs, 'c.md'), join(other, 'd.md'))
  expect(await library.refresh(other)).toMatchObject({ documents: 1, read: 1 })
  expect(found('cormorant beaver')).toEqual(['d.md#1'])
})

const pathsOf = (query: string) =>
  library
    .search(query, 20)
    .map(hit => hit.path)
    .toSorted()

test('every file in a folder of the user is read, or reported as skipped', async () => {
  const read = ['CHANGELOG.md', 'README.fr.md', 'dist/a.md', 'history.html', 'release-plan.md', 'test/notes.md']
  for (const path of read) write(path, `The ${path} speaks of zebras.`)
  write('.git/notes.md', 'zebras')
  write('node_modules/a/LICENSE.md', 'zebras')
  write('sheet.xlsx', 'zebras')
  write('empty.md', '')
  symlinkSync('CHANGELOG.md', join(docs, 'link.md'))
  const { documents, skipped } = await library.refresh(docs)
  expect([documents, pathsOf('zebras')]).toEqual([read.length, read])
  expect(new Map(skipped.map(({ path, reason }) => [path, reason]))).toEqual(
    new Map([
      ['.git/', 'hidden folder'],
      ['sheet.xlsx', 'neither Markdown, text, HTML nor PDF'],
      ['empty.md', 'empty'],
      ['link.md', 'link'],
    ]),
  )
})

test('licences, changelogs, translations, tests and copies in a package are left out', async () => {
  const kept = ['README.md', 'docs/guide.mdx', 'node_modules/a/README', 'node_modules/a/node_modules/b/readme.md']
  const left = [
    'LICENSE.md',
    'CHANGELOG.md',
    'README.fr.md',
    'README.pt-BR.md',
    'test/notes.md',
    '.git/notes.md',
    'node_modules/c/node_modules/a/README',
    'data.json',
  ]
  for (const path of [...kept, ...left]) write(path, `The ${path} speaks of zebras.`)
  const { skipped } = await library.refresh(docs, { isPackage: true })
  expect(pathsOf('zebras')).toEqual(kept.toSorted())
  expect(skipped).toEqual([])
})

test('HTML is indexed by its text', async () => {
  const html = `<title>Clocks</title><nav>Home</nav><script>zebra()</script>
    <h2>In <b>spring</b></h2><p>Clocks go&nbsp;forward &amp; nights
    get shorter.</p><ul><li>first thing</li></ul>`
  write('clocks.html', html)
  await library.refresh(docs)
  const passage = library.read(found('nights shorter')[0]!)!
  expect(passage.heading).toBe('Clocks › In spring')
  expect(htmlText(html)).toContain(passage.text)
  expect(passage.text).toContain('forward & nights get shorter.')
  expect(found('zebra home')).toEqual([])
})

test('PDF is indexed by page, and a broken one is reported', async () => {
  write('two.pdf', pdf(['The first page is about otters.', 'The second page is about walruses.']))
  write('broken.pdf', 'this is no PDF')
  const { documents, unreadable } = await library.refresh(docs)
  expect(documents).toBe(1)
  expect(unreadable.map(({ path }) => path)).toEqual(['broken.pdf'])
  const passage = library.read(found('walruses')[0]!)!
  expect(passage).toMatchObject({ id: 'two.pdf#2', place: 'page 2', text: 'The second page is about walruses.' })
  expect((await pagesOf(join(docs, 'two.pdf'))).map(({ text }) => text)[1]).toContain(passage.text)
})

/** The least that makes a PDF: a catalogue, pages, a font, and one line of text each. */
function pdf(pages: readonly string[]): string {
  const id = (page: number) => 4 + page * 2
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    `<< /Type /Pages /Count ${pages.length} /Kids [${pages.map((_, i) => `${id(i)} 0 R`).join(' ')}] >>`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
    ...pages.flatMap((text, i) => {
      const stream = `BT /F1 12 Tf 72 720 Td (${text}) Tj ET`
      return [
        `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents ${id(i) + 1} 0 R >>`,
        `<< /Length ${stream.length} >>\nstream\n${stream}\nendstream`,
      ]
    }),
  ]
  let body = '%PDF-1.4\n'
  const offsets = objects.map((object, i) => {
    const offset = body.length
    body += `${i + 1} 0 obj\n${object}\nendobj\n`
    return `${String(offset).padStart(10, '0')} 00000 n \n`
  })
  const table = `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${offsets.join('')}`
  return `${body}${table}trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${body.length}\n%%EOF\n`
}
