import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  parseAllDocuments,
} from 'yaml'

/** Something wrong in a text. Lines and columns count from 1. */
export interface Problem {
  /** `spec.tasks`; empty = the text as a whole. */
  readonly field: string
  readonly line: number
  readonly column: number
  readonly message: string
}

export type Path = readonly (string | number)[]

/** A text as a plain value that knows where each part stands. */
export interface Located {
  readonly value: unknown
  /** Problem at a path; at the key, for fields that should not be there. */
  problemAt(path: Path, message: string, at?: 'key' | 'value'): Problem
}

/** Values in a document, those behind aliases counted each time. */
const VALUES_MAX = 20_000
const DEPTH_MAX = 32

/** `spec.command[0]` */
function fieldName(path: Path): string {
  return path.reduce<string>((above, key) => {
    if (typeof key === 'number') return `${above}[${key}]`
    return above === '' ? key : `${above}.${key}`
  }, '')
}

class TooMuch extends Error {}

/** Turns the tree of a document into plain values, with limits, and remembers positions. */
class Reader {
  readonly problems: Problem[] = []
  readonly #lines: LineCounter
  readonly #anchors = new Map<string, unknown>()
  readonly #open = new Set<unknown>()
  readonly #places = new Map<string, { key: number; value: number }>()
  #values = 0

  constructor(lines: LineCounter) {
    this.#lines = lines
  }

  read(node: unknown, path: Path): unknown {
    this.#values += 1
    if (this.#values > VALUES_MAX) {
      this.#stop(node, `has more than ${VALUES_MAX} values (those behind aliases count each time)`)
    }
    if (path.length > DEPTH_MAX) this.#stop(node, `is nested deeper than ${DEPTH_MAX} levels`)
    if (isAlias(node)) return this.#alias(node, path)
    if (isNode(node) && 'anchor' in node && node.anchor) this.#anchors.set(node.anchor, node)
    if (isScalar(node)) {
      if (typeof node.value === 'object' && node.value !== null) {
        this.#problem(path, this.#offset(node), `has a type that is not allowed: ${node.tag}`)
      }
      return node.value
    }
    if (!isSeq(node) && !isMap(node)) return null
    this.#open.add(node)
    const value = isSeq(node)
      ? node.items.map((item, index) => this.#item(item, [...path, index]))
      : this.#map(node.items, path)
    this.#open.delete(node)
    return value
  }

  #alias(node: { readonly source: string }, path: Path): unknown {
    const target = this.#anchors.get(node.source)
    if (target === undefined || this.#open.has(target)) {
      this.#stop(node, `the alias *${node.source} has no anchor before it`)
    }
    return this.read(target, path)
  }

  #item(node: unknown, path: Path): unknown {
    const at = this.#offset(node)
    this.#places.set(fieldName(path), { key: at, value: at })
    return this.read(node, path)
  }

  #map(items: readonly unknown[], path: Path): unknown {
    // Without a prototype: a key may have any name.
    const value: Record<string, unknown> = Object.create(null)
    for (const pair of items) {
      if (!isPair(pair)) continue
      const at = this.#offset(pair.key)
      const key = isScalar(pair.key) ? pair.key.value : undefined
      if (typeof key !== 'string' && typeof key !== 'number') {
        this.#problem(path, at, 'has a key that is not text')
        continue
      }
      const below = [...path, String(key)]
      if (key in value) this.#problem(below, at, 'is there twice')
      else if (key === '__proto__') this.#problem(below, at, 'is not allowed as a name')
      this.#places.set(fieldName(below), { key: at, value: this.#offset(pair.value) || at })
      value[key] = this.read(pair.value, below)
    }
    return value
  }

  #offset(node: unknown): number {
    return isNode(node) ? (node.range?.[0] ?? 0) : 0
  }

  #problem(path: Path, offset: number, message: string): void {
    this.problems.push(this.#at(path, offset, message))
  }

  #at(path: Path, offset: number, message: string): Problem {
    const { line, col } = this.#lines.linePos(offset)
    return { field: fieldName(path), line: Math.max(1, line), column: Math.max(1, col), message }
  }

  #stop(node: unknown, message: string): never {
    this.#problem([], this.#offset(node), message)
    throw new TooMuch(message)
  }

  problemAt(path: Path, message: string, at: 'key' | 'value' = 'value'): Problem {
    // What is missing stands nowhere: the problem is told where the nearest part above it stands.
    for (let length = path.length; length > 0; length -= 1) {
      const place = this.#places.get(fieldName(path.slice(0, length)))
      if (place === undefined) continue
      const offset = at === 'key' || length < path.length ? place.key : place.value
      return this.#at(path, offset, message)
    }
    return this.#at(path, 0, message)
  }
}

/** More than a text with all allowed values needs, spaces and line ends counted. */
const TOKENS_MAX = 200_000
/** A text below this, with few brackets, cannot be too much: it is not looked through. */
const SMALL_CHARACTERS = 32_768

/**
 * Looks through the tokens before the text is parsed: what is far too much is refused within
 * milliseconds, while parsing it would keep the process busy for seconds.
 */
function tooMuchToParse(text: string): string | undefined {
  if (text.length < SMALL_CHARACTERS && text.split(/[[{]/).length <= DEPTH_MAX) return undefined
  let tokens = 0
  let depth = 0
  for (const token of new Lexer().lex(text)) {
    tokens += 1
    if (token === '[' || token === '{') depth += 1
    else if (token === ']' || token === '}') depth -= 1
    if (depth > 2 * DEPTH_MAX) return `is nested deeper than ${DEPTH_MAX} levels`
    if (tokens > TOKENS_MAX) return `has more than ${VALUES_MAX} values`
  }
  return undefined
}

const whole = (message: string): Problem => ({ field: '', line: 1, column: 1, message })

function syntaxProblems(document: Document, lines: LineCounter): Problem[] {
  return [...document.errors, ...document.warnings].map((error) => {
    const { line, col } = lines.linePos(error.pos[0])
    return { field: '', line: Math.max(1, line), column: Math.max(1, col), message: error.message }
  })
}

/**
 * Reads one YAML or JSON document within limits (values, depth, aliases; keys unique).
 *
 * @returns the value with positions, or what is wrong with the text.
 */
export function readDocument(text: string): Located | { readonly problems: readonly Problem[] } {
  const tooMuch = tooMuchToParse(text)
  if (tooMuch !== undefined) return { problems: [whole(tooMuch)] }
  const lines = new LineCounter()
  try {
    // `uniqueKeys` compares each key with each other one: the reader looks them up instead.
    const documents = parseAllDocuments(text, {
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: false,
      logLevel: 'silent',
    })
    if (!Array.isArray(documents) || documents.length === 0)
      return { problems: [whole('is empty')] }
    const [document, second] = documents
    if (document === undefined) return { problems: [whole('is empty')] }
    const wrong = syntaxProblems(document, lines)
    if (second !== undefined) {
      const { line } = lines.linePos(second.range[0])
      wrong.push({ ...whole('holds several documents; one job per text'), line })
    }
    if (wrong.length > 0) return { problems: wrong }
    return convert(document, lines)
  } catch (error) {
    // The parser is recursive: its stack is the limit for what it takes in.
    if (error instanceof RangeError) {
      return { problems: [whole(`is nested deeper than ${DEPTH_MAX} levels`)] }
    }
    throw error
  }
}

function convert(document: Document, lines: LineCounter): ReturnType<typeof readDocument> {
  const reader = new Reader(lines)
  try {
    const value = reader.read(document.contents, [])
    if (reader.problems.length > 0) return { problems: reader.problems }
    if (value === null) return { problems: [whole('is empty')] }
    return { value, problemAt: (path, message, at) => reader.problemAt(path, message, at) }
  } catch (error) {
    if (error instanceof TooMuch) return { problems: reader.problems }
    throw error
  }
}
