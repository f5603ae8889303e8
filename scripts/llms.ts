import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import manifest from '../package.json' with { type: 'json' }

/* What language models read: `llms.txt` (https://llmstxt.org) lists the pages, `llms-full.txt` holds them all. */

const root = join(import.meta.dirname, '..')

/** `generated`: pages that may not be stored yet, by their paths. */
export function llmsFiles(generated: ReadonlyMap<string, string>): Map<string, string> {
  const read = (file: string) => generated.get(file) ?? readFileSync(join(root, file), 'utf8')
  const readme = read('README.md')
  const index = read('docs/README.md')
  const [title] = /^# .*$/m.exec(readme)!
  const sections = index.split(/^(?=## )/m).slice(1)
  const llms = [
    title,
    `> ${manifest.description}`,
    'How to install it: [docs/install.md](docs/install.md). The installed package has all pages in one file, `llms-full.txt`.',
    ...sections.map(section => {
      const [heading] = section.split('\n')
      const rows = [...section.matchAll(/^\| (.+?) \| (.+) \|$/gm)]
      return [heading, '', ...rows.map(([, name, text]) => `- ${rooted(name!)}: ${rooted(text!)}`)].join('\n')
    }),
    '',
  ].join('\n\n')
  const listed = [...index.matchAll(/\]\(([^)#]+\.md)/g)].map(([, link]) => join('docs', link!))
  const docs = [...globSync('docs/**/*.md', { cwd: root }), ...generated.keys()]
    .filter(file => /^docs\/(?!decisions\/).*\.md$/.test(file))
    .toSorted()
  const pages = new Set(['README.md', ...listed.filter(file => docs.includes(file)), ...docs])
  pages.delete('docs/README.md')
  const full = [...pages].map(file => `<!-- ${file} -->\n\n${read(file).trim()}\n`).join('\n')
  return new Map([
    ['llms.txt', llms],
    ['llms-full.txt', full],
  ])
}

/** Links from `docs/README.md`, as links from the root. */
const rooted = (markdown: string) =>
  markdown.replaceAll(/\]\(([^)]+)\)/g, (_, link: string) => `](${/^[a-z]+:/.test(link) ? link : join('docs', link)})`)
