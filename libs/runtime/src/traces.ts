/**
 * Which trace a change belongs to, carried beside the log and never in it: commits and public
 * events have the contexts in their record headers, so that a reader, also the next leader, goes on
 * with them. What is kept here is lost with the process; then a trace ends early, and nothing else.
 */
import {
  type Span,
  type SpanInit,
  TRACEPARENT,
  type TraceContext,
  type Tracer,
} from '@serverless-ai/kernel'
import type { CommitFacts } from './facts.ts'

/**
 * Header of a commit: which of its public events (by seq) and effects (by key) belong to which
 * context, JSON: `{"<traceparent>": {"p": [7, 8], "e": ["enqueue:j-0-1"]}}`.
 */
export const TRACES_HEADER = 'sai-traces'
/** Contexts in one commit at most; the rest of a batch is not followed. */
const CONTEXTS_MAX = 64
/** Entities, effects and public events whose context is kept. */
const KEPT_MAX = 10_000

/** Contexts of what items have put into a commit. */
export interface TracedFacts {
  /** By public seq. */
  readonly publics: Map<number, TraceContext>
  /** By effect key. */
  readonly effects: Map<string, TraceContext>
}

/** Public seqs and effect keys of a context. */
interface Marked {
  readonly p: number[]
  readonly e: string[]
}

/** The newest entries, so many at most. */
class Newest<K> {
  readonly #entries = new Map<K, TraceContext>()

  get(key: K): TraceContext | undefined {
    return this.#entries.get(key)
  }

  put(key: K, context: TraceContext): void {
    this.#entries.delete(key)
    this.#entries.set(key, context)
    if (this.#entries.size <= KEPT_MAX) return
    const [oldest] = this.#entries.keys()
    if (oldest !== undefined) this.#entries.delete(oldest)
  }
}

/** Traces of one partition in one process. */
export class Traces {
  readonly tracer: Tracer
  readonly #of: { readonly 'sai.service': string; readonly 'sai.partition': number }
  readonly #entities = new Newest<string>()
  readonly #effects = new Newest<string>()
  readonly #publics = new Newest<number>()

  constructor(tracer: Tracer, of: { readonly service: string; readonly partition: number }) {
    this.tracer = tracer
    this.#of = { 'sai.service': of.service, 'sai.partition': of.partition }
  }

  /** A span of this partition. */
  span(name: string, init: SpanInit): Span {
    const attributes = { ...this.#of, ...init.attributes }
    return this.tracer.start(name, { ...init, attributes })
  }

  /** Context of the last traced change of an entity. */
  ofEntity(key: string): TraceContext | undefined {
    return this.#entities.get(key)
  }

  ofEffect(key: string): TraceContext | undefined {
    return this.#effects.get(key)
  }

  ofPublic(seq: number): TraceContext | undefined {
    return this.#publics.get(seq)
  }

  /** An entity is worked on in this context: what happens to it later by itself belongs there. */
  note(key: string, context: TraceContext): void {
    this.#entities.put(key, context)
  }

  /**
   * Headers of a commit. Public events that no item with a context made (a placement round, a
   * report of an agent) belong to the last context of their entity, in this commit or before.
   */
  headersOf(facts: CommitFacts, { publics, effects }: TracedFacts): Record<string, string> {
    const marked = new Map<TraceContext, Marked>()
    const of = (context: TraceContext): Marked | undefined => {
      const known = marked.get(context)
      if (known !== undefined || marked.size >= CONTEXTS_MAX) return known
      const one = { p: [], e: [] }
      marked.set(context, one)
      return one
    }
    const here = new Map<string, TraceContext>()
    for (const { seq, key } of facts.publics) {
      const context = publics.get(seq)
      if (context !== undefined) here.set(key, context)
    }
    for (const { seq, key } of facts.publics) {
      const context = publics.get(seq) ?? here.get(key) ?? this.#entities.get(key)
      if (context !== undefined) of(context)?.p.push(seq)
    }
    for (const [key, context] of effects) of(context)?.e.push(key)
    const [first] = marked.keys()
    if (first === undefined) return {}
    return { [TRACEPARENT]: first, [TRACES_HEADER]: JSON.stringify(Object.fromEntries(marked)) }
  }

  /** An effective commit was read, of this leader or another. */
  folded(headers: Readonly<Record<string, string>>, facts: CommitFacts): void {
    const text = headers[TRACES_HEADER]
    if (text === undefined) return
    const keys = new Map(facts.publics.map(({ seq, key }) => [seq, key]))
    for (const [context, { p, e }] of markedOf(text)) {
      for (const seq of p) {
        const key = keys.get(seq)
        if (key === undefined) continue
        this.#publics.put(seq, context)
        this.#entities.put(key, context)
      }
      for (const key of e) this.#effects.put(key, context)
    }
  }
}

/** Whoever may write the log may write headers: what is not well formed counts as absent. */
function markedOf(text: string): readonly (readonly [TraceContext, Marked])[] {
  try {
    const value: unknown = JSON.parse(text)
    return Object.entries(Object(value)).flatMap(([context, one]) => {
      const { p, e } = Object(one)
      const wellFormed = Array.isArray(p) && Array.isArray(e)
      return wellFormed ? [[context, { p: p.map(Number), e: e.map(String) }] as const] : []
    })
  } catch {
    return []
  }
}
