import { execFileSync } from 'node:child_process'
import { mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Node } from 'typescript/unstable/ast'
import {
  isClassDeclaration,
  isFunctionDeclaration,
  isIdentifier,
  isInterfaceDeclaration,
  isMethodDeclaration,
  isMethodSignatureDeclaration,
  isTypeAliasDeclaration,
  isVariableDeclaration,
} from 'typescript/unstable/ast/is'
import { API, SymbolFlags, type Project, type Symbol } from 'typescript/unstable/sync'
import manifest from '../package.json' with { type: 'json' }

/* What the package exports, with its doc comments: read from the declarations that the compiler makes of the sources. */

const root = join(import.meta.dirname, '..')

/** A doc comment in its parts. */
export interface Doc {
  /** Paragraphs in Markdown. */
  readonly text: string
  /** What it throws: error codes, or sentences. */
  readonly throws: readonly string[]
  /** TypeScript. */
  readonly examples: readonly string[]
}

export interface ApiSymbol {
  readonly name: string
  readonly kind: 'function' | 'const' | 'class' | 'interface' | 'type'
  /** Path of its source file, in `src/`. */
  readonly file: string
  readonly doc: Doc
  /** The declaration in TypeScript, with the comments of its members. */
  readonly code: string
  readonly methods: readonly { readonly name: string; readonly doc: Doc }[]
}

/** One entry of the package, such as `tidings/testing`. */
export interface ApiEntry {
  readonly name: string
  readonly symbols: readonly ApiSymbol[]
  /** Types that the declarations mention and that no entry exports. */
  readonly unexported: readonly ApiSymbol[]
}

/** The source files of the entries, by the name in an import. */
const entryFiles = Object.entries(manifest.exports).flatMap(([path, target]) =>
  typeof target === 'string'
    ? []
    : [{ name: join('tidings', path), file: target.types.replace(/^\.\/dist\/(.*)\.d\.ts$/, '$1') }],
)

/** What each entry exports, and the errors that the compiler finds in the files of `programs`, by their names. */
export function readApi(programs: Readonly<Record<string, string>> = {}): { entries: ApiEntry[]; errors: string[] } {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'tidings-api-')))
  try {
    emitDeclarations(join(folder, 'types'))
    writeProject(folder, programs)
    const api = new API({ cwd: folder })
    try {
      const snapshot = api.updateSnapshot({ openProjects: [join(folder, 'tsconfig.json')] })
      const [project] = snapshot.getProjects()
      const reader = new Reader(project!, join(folder, 'types/'))
      return {
        entries: reader.entries(),
        errors: Object.keys(programs).flatMap(name => errorsOf(name, project!, folder)),
      }
    } finally {
      api.close()
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function emitDeclarations(outDir: string): void {
  const options = ['--noCheck', '--emitDeclarationOnly', '--composite', 'false', '--tsBuildInfoFile', 'null']
  const maps = ['--sourceMap', 'false', '--inlineSources', 'false', '--outDir', outDir]
  execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.src.json', '--declaration', ...options, ...maps], {
    cwd: root,
  })
}

/** The programs import Tidings as users do. */
function writeProject(folder: string, programs: Readonly<Record<string, string>>): void {
  const entries = entryFiles.map(({ name, file }) => [name, [join(folder, 'types', `${file}.d.ts`)]] as const)
  const compilerOptions = {
    noEmit: true,
    allowImportingTsExtensions: true,
    rewriteRelativeImportExtensions: false,
    paths: Object.fromEntries(entries),
  }
  const files = [...entries.map(([, [file]]) => file), ...Object.keys(programs)]
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  for (const [name, program] of Object.entries(programs)) writeFileSync(join(folder, name), program)
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  const config = { extends: join(root, 'tsconfig.base.json'), compilerOptions, files }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
}

function errorsOf(name: string, { program }: Project, folder: string): string[] {
  const file = join(folder, name)
  const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
  return found.map(({ text, pos, messageChain = [] }) => {
    const source = program.getSourceFile(file)!.text
    const line = source.split('\n')[source.slice(0, pos).split('\n').length - 1]!
    return [`${name}: ${text}`, ...messageChain.map(more => more.text), line.trim()].join('\n  ')
  })
}

/** The parts of a doc comment. A tag may follow a sentence on the same line. */
export function parseDoc(comment: string): Doc {
  const plain = comment.replace(/^\/\*\*[ \t]?|\s*\*\/$/g, '').replaceAll(/^[ \t]*\*[ \t]?/gm, '')
  const [text = '', ...tags] = plain.split(/(?:^|\s)(?=@(?:throws|example)\s)/)
  const of = (tag: string) =>
    tags
      .filter(part => part.startsWith(tag))
      .map(part =>
        part
          .slice(tag.length)
          .replace(/^[ \t]*\n/, '')
          .trim(),
      )
  return { text: text.trim(), throws: of('@throws'), examples: of('@example') }
}

class Reader {
  readonly #project: Project
  readonly #folder: string

  constructor(project: Project, folder: string) {
    this.#project = project
    this.#folder = folder
  }

  entries(): ApiEntry[] {
    const entries = entryFiles.map(({ name, file }) => ({ name, exported: this.#exportsOf(`${file}.d.ts`) }))
    const everything = new Set(entries.flatMap(({ exported }) => exported))
    return entries.map(({ name, exported }) => {
      const reached = new Set(exported)
      for (const symbol of reached)
        for (const each of this.#mentionedBy(symbol)) if (!everything.has(each)) reached.add(each)
      const read = (symbols: Symbol[]) =>
        symbols.map(symbol => this.#read(symbol)).toSorted((a, b) => (a.name < b.name ? -1 : 1))
      return { name, symbols: read(exported), unexported: read([...reached].slice(exported.length)) }
    })
  }

  #exportsOf(file: string): Symbol[] {
    const { checker, program } = this.#project
    const source = program.getSourceFile(join(this.#folder, file))!
    return checker.getExportsOfModule(checker.getSymbolAtLocation(source)!).map(symbol => this.#target(symbol))
  }

  #target(symbol: Symbol): Symbol {
    return symbol.flags & SymbolFlags.Alias ? this.#project.checker.getAliasedSymbol(symbol) : symbol
  }

  #declarationsOf(symbol: Symbol): Node[] {
    return symbol.declarations.map(handle => handle.resolve(this.#project)!)
  }

  #mentionedBy(symbol: Symbol): Symbol[] {
    const names: Node[] = []
    const visit = (node: Node): void => {
      if (isIdentifier(node)) names.push(node)
      node.forEachChild(visit)
    }
    this.#declarationsOf(symbol).forEach(visit)
    const types = SymbolFlags.Interface | SymbolFlags.TypeAlias | SymbolFlags.Class
    return this.#project.checker
      .getSymbolAtLocation(names)
      .flatMap(found => (found ? [this.#target(found)] : []))
      .filter(({ flags, declarations }) => flags & types && declarations[0]?.path.startsWith(this.#folder))
  }

  #read(symbol: Symbol): ApiSymbol {
    const nodes = this.#declarationsOf(symbol)
    const docs = nodes.map(node => docOf(isVariableDeclaration(node) ? node.parent.parent : node))
    const [first] = nodes
    return {
      name: symbol.name,
      kind: kindOf(first!),
      file: first!
        .getSourceFile()
        .fileName.slice(this.#folder.length)
        .replace(/\.d\.ts$/, '.ts'),
      doc: {
        text: docs.find(({ text }) => text !== '')?.text ?? '',
        throws: docs.flatMap(({ throws }) => throws),
        examples: docs.flatMap(({ examples }) => examples),
      },
      code: nodes.map(codeOf).join('\n'),
      methods: methodsOf(first!),
    }
  }
}

const docOf = (node: Node): Doc => parseDoc(node.jsDoc?.at(-1)?.getText() ?? '')

function kindOf(node: Node): ApiSymbol['kind'] {
  if (isFunctionDeclaration(node)) return 'function'
  if (isClassDeclaration(node)) return 'class'
  if (isInterfaceDeclaration(node)) return 'interface'
  if (isTypeAliasDeclaration(node)) return 'type'
  // A function as a constant is a function to its callers.
  return isVariableDeclaration(node) && /^\w+: (?:<[^>]*>)?\(/.test(node.getText()) ? 'function' : 'const'
}

function methodsOf(node: Node): { name: string; doc: Doc }[] {
  const methods: { name: string; doc: Doc }[] = []
  node.forEachChild(member => {
    if (isMethodDeclaration(member) || isMethodSignatureDeclaration(member))
      methods.push({ name: member.name.getText(), doc: docOf(member) })
  })
  return methods
}

/** Values whose type is a long list are cut: they have pages of their own. */
const maxLength = 4_000

function codeOf(node: Node): string {
  const text = node.getText().replace(/^(?:export |declare |default )*/, '')
  if (isVariableDeclaration(node))
    return text.length > maxLength ? `const ${text.split(' {\n')[0]} { … }` : `const ${text}`
  return text
    .replaceAll(/^ +(?:#private|private [^;{]*);\n/gm, '')
    .replaceAll(/^(?: {4})+/gm, indent => indent.slice(indent.length / 2))
}
