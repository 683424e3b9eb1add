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

/** The fields of a line; undefined when it is not JSON. */
function fieldsOf(json: string): ReadonlyMap<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(json)
    return new Map(Object.entries(typeof value === 'object' && value !== null ? value : {}))
  } catch {
    return undefined
  }
}

/** Absolute path without `.`, `..` and empty parts; `..` at the top stays there, as for the OS. */
function normalized(path: string): string {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return `/${parts.join('/')}`
}

/** The checkpoint directory of a job. */
export interface CheckpointPlace {
  /** Absolute path, under each of its names (a program may have resolved links on the way). */
  readonly directories: readonly string[]
  /** Its name below the checkpoint directory of the node: the job id. */
  readonly name: string
}

/** What is wrong with a checkpoint line, or its path as events hold it. */
function checkpointOf(
  fields: ReadonlyMap<string, unknown>,
  place: CheckpointPlace,
): { readonly problem: string } | { readonly path: string } {
  const step = fields.get('step')
  if (typeof step !== 'number' || !Number.isSafeInteger(step) || step < 0) {
    return { problem: 'a checkpoint needs "step": a whole number from 0' }
  }
  const path = fields.get('path')
  if (typeof path !== 'string' || !path.startsWith('/') || path.includes('\0')) {
    return { problem: 'a checkpoint needs "path": its absolute path' }
  }
  const found = normalized(path)
  for (const directory of place.directories) {
    const inside = `${normalized(directory)}/`
    if (found.startsWith(inside)) return { path: `${place.name}/${found.slice(inside.length)}` }
  }
  return { problem: 'the "path" of a checkpoint must lie inside SAI_CHECKPOINT_DIR' }
}

/**
 * A line as it is passed on: of a checkpoint with the path relative to the checkpoint directory of
 * the nodes, because a log that names the directories of one machine means nothing on another.
 * Undefined for a checkpoint line that must not be passed on: a later generation would be told to
 * go on from it.
 */
export function passedOn(json: string, place: CheckpointPlace): string | undefined {
  const fields = fieldsOf(json)
  if (fields?.get('kind') !== 'checkpoint') return json
  const checkpoint = checkpointOf(fields, place)
  if ('problem' in checkpoint) return undefined
  return JSON.stringify({ ...Object.fromEntries(fields), path: checkpoint.path })
}

/** Why the platform does not use a line; undefined when it does. */
export function problemOfLine(json: string, place: CheckpointPlace): string | undefined {
  const fields = fieldsOf(json)
  if (fields === undefined) return 'it is not JSON'
  const kind = fields.get('kind')
  if (kind === 'progress' || kind === 'result') return undefined
  if (kind === 'note') return String(fields.get('message'))
  if (kind !== 'checkpoint') return 'it needs "kind": "progress", "checkpoint" or "result"'
  const checkpoint = checkpointOf(fields, place)
  return 'problem' in checkpoint ? checkpoint.problem : undefined
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
