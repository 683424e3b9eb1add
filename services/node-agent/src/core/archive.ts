/** Most bytes a workspace may have when it is unpacked. */
export const UNPACKED_MAX_BYTES = 1_073_741_824
/** Most files, directories and links in a workspace. */
export const ENTRIES_MAX = 200_000

/** An entry of an archive, as its header says. */
export interface ArchiveEntry {
  readonly path: string
  /** `File`, `Directory`, `SymbolicLink`, `Link`, … */
  readonly type: string
  readonly linkpath: string
  readonly size: number
}

const KINDS = new Set(['File', 'OldFile', 'ContiguousFile', 'Directory', 'SymbolicLink', 'Link'])

/** Folders a relative path leads through; undefined when it leaves the top or is absolute. */
function inside(path: string, from: readonly string[] = []): string[] | undefined {
  if (path.startsWith('/') || path.includes('\0')) return undefined
  const at = [...from]
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') at.push(part)
    else if (at.pop() === undefined) return undefined
  }
  return at
}

/** Why an entry must not be unpacked; the empty string when it may. */
export function entryProblem(entry: ArchiveEntry): string {
  const { path, type, linkpath } = entry
  if (!KINDS.has(type)) return `${path} is a ${type}, only files, directories and links are taken`
  if (path.split('/').includes('..')) return `${path} contains ..`
  const place = inside(path)
  if (place === undefined) return `${path} leads out of the workspace`
  if (type === 'SymbolicLink' && inside(linkpath, place.slice(0, -1)) === undefined) {
    return `${path} is a link out of the workspace (to ${linkpath})`
  }
  if (type === 'Link' && inside(linkpath) === undefined) {
    return `${path} is a link out of the workspace (to ${linkpath})`
  }
  return ''
}
