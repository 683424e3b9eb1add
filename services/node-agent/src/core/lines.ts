/** Longest line of a report file that is passed on, bytes. */
export const REPORT_LINE_MAX_BYTES = 64 * 1024

/** A whole line of a report file. */
export interface ReportLine {
  /** Number in the file, from 1. */
  readonly line: number
  /** The line, or a note in its place. */
  readonly json: string
}

/** Where a reader of a report file is. */
export interface LinesPosition {
  /** Bytes consumed: everything before is done with. */
  readonly offset: number
  /** Lines consumed. */
  readonly line: number
  /** Bytes of a line over the limit that were skipped so far; 0 = not inside one. */
  readonly skippedBytes: number
}

/** Before the first byte. */
export const LINES_START: LinesPosition = { offset: 0, line: 0, skippedBytes: 0 }

/** What takes the place of a line that was dropped. */
function dropped(line: number, bytes: number): string {
  const message = `line ${line} was dropped: ${bytes} bytes, at most ${REPORT_LINE_MAX_BYTES}`
  return JSON.stringify({ kind: 'note', message })
}

/** Why the platform does not use a line; undefined when it does. */
export function problemOfLine(json: string): string | undefined {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    return 'it is not JSON'
  }
  const fields = new Map(Object.entries(typeof value === 'object' && value !== null ? value : {}))
  const kind = fields.get('kind')
  if (kind === 'progress' || kind === 'result') return undefined
  if (kind === 'note') return String(fields.get('message'))
  if (kind !== 'checkpoint') return 'it needs "kind": "progress", "checkpoint" or "result"'
  const path = fields.get('path')
  if (typeof path === 'string' && path.startsWith('/')) return undefined
  return 'a checkpoint needs "path": its absolute path'
}

/**
 * Takes the whole lines out of the bytes that follow `from`. A line over the limit is dropped and
 * a note takes its place; a line that is not finished yet stays for the next call.
 *
 * @param atEnd nothing will be appended any more: a last line without a newline counts.
 */
export function takeLines(
  from: LinesPosition,
  bytes: Uint8Array,
  atEnd: boolean,
): { readonly lines: readonly ReportLine[]; readonly next: LinesPosition } {
  const decoder = new TextDecoder()
  const lines: ReportLine[] = []
  let { line, skippedBytes } = from
  let start = 0
  const finish = (end: number) => {
    line += 1
    const length = skippedBytes + end - start
    if (length > REPORT_LINE_MAX_BYTES) lines.push({ line, json: dropped(line, length) })
    else if (length > 0) lines.push({ line, json: decoder.decode(bytes.subarray(start, end)) })
    skippedBytes = 0
  }
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
    finish(end)
    start = end + 1
  }
  const rest = bytes.length - start
  if (atEnd && skippedBytes + rest > 0) {
    finish(bytes.length)
    start = bytes.length
  } else if (skippedBytes > 0 || rest > REPORT_LINE_MAX_BYTES) {
    skippedBytes += rest
    start = bytes.length
  }
  return { lines, next: { offset: from.offset + start, line, skippedBytes } }
}
