import type { LineKind, PoolEvent } from './messages.ts'
import { executionKey, keyOf, type ReportedLine } from './model.ts'

/** Longest report line that is taken, bytes of UTF-16; the supervisor drops longer ones before. */
export const LINE_MAX_CHARS = 65_536

/**
 * The lines worth recording, as events in order: unknown kinds and broken JSON are dropped, and of
 * the progress lines of an execution only the newest stays (each one replaces those before it).
 *
 * @param lastLine number of the last line taken before, by execution
 */
export function linesToEvents(
  lines: readonly ReportedLine[],
  lastLine: (line: ReportedLine) => number | undefined,
): readonly PoolEvent[] {
  const newestProgress = new Map<string, number>()
  const kept: { line: ReportedLine; kind: LineKind }[] = []
  const high = new Map<string, number>()
  for (const line of lines) {
    const key = executionKey(line.key)
    const last = high.get(key) ?? lastLine(line)
    if (last === undefined || line.line <= last) continue
    const kind = lineKind(line.json)
    if (kind === undefined) continue
    high.set(key, line.line)
    if (kind === 'progress') newestProgress.set(key, line.line)
    kept.push({ line, kind })
  }
  return kept
    .filter(
      ({ line, kind }) =>
        kind !== 'progress' || newestProgress.get(executionKey(line.key)) === line.line,
    )
    .map(({ line, kind }) => ({
      type: 'TaskReported',
      key: keyOf(line.key),
      kind,
      line: line.line,
      json: line.json,
    }))
}

/** Kind of a line; undefined when it is none of the platform's. */
export function lineKind(json: string): LineKind | undefined {
  if (json.length > LINE_MAX_CHARS) return undefined
  try {
    const value: unknown = JSON.parse(json)
    if (typeof value !== 'object' || value === null || !('kind' in value)) return undefined
    const { kind } = value
    if (kind === 'checkpoint') return hasPath(value) ? kind : undefined
    return kind === 'progress' || kind === 'result' ? kind : undefined
  } catch {
    return undefined
  }
}

/** A checkpoint without a path is none. Whether it may be told of is for the node to say. */
function hasPath(value: object): boolean {
  return 'path' in value && typeof value.path === 'string' && value.path !== ''
}
