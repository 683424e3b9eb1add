import type { Dirent } from 'node:fs'
import { lstat, readdir, readFile, readlink, stat } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { create } from 'tar'
import { CliError } from '../exit.ts'
import { bytes } from '../output/text.ts'
import { ignoreRules } from './ignore.ts'

/** Largest directory that is copied, bytes. */
const DIRECTORY_MAX_BYTES = 100 * 1024 * 1024
const ENTRIES_MAX = 50_000
const BIGGEST_SHOWN = 5

/** A directory ready to be uploaded. */
export interface Archive {
  readonly data: Uint8Array
  readonly files: number
  /** Unpacked, bytes. */
  readonly totalBytes: number
  /** What was left out though no rule asked for it, one sentence each. */
  readonly notes: readonly string[]
}

interface Found {
  readonly paths: string[]
  readonly notes: string[]
  readonly sizes: Map<string, number>
  files: number
  totalBytes: number
}

async function readIgnore(root: string): Promise<string> {
  try {
    return await readFile(join(root, '.saiignore'), 'utf8')
  } catch {
    return ''
  }
}

async function leavesRoot(root: string, path: string): Promise<boolean> {
  const target = resolve(dirname(path), await readlink(path))
  return target !== root && !target.startsWith(root + sep)
}

/** Adds what an entry weighs to the top-level entry it is in. */
function weigh(found: Found, path: string, size: number): void {
  const top = path.split('/')[0] ?? path
  found.sizes.set(top, (found.sizes.get(top) ?? 0) + size)
  found.totalBytes += size
}

function tooLarge(root: string, found: Found): CliError {
  const biggest = [...found.sizes].sort((a, b) => b[1] - a[1]).slice(0, BIGGEST_SHOWN)
  const list = biggest.map(([name, size]) => `  ${bytes(size).padStart(10)}  ${name}`).join('\n')
  const message =
    `${root} has more than ${bytes(DIRECTORY_MAX_BYTES)} to copy. The biggest entries:\n${list}\n` +
    'Name what is not needed in .saiignore (the language of .gitignore), ' +
    'or start in another directory'
  return new CliError('WORKSPACE_TOO_LARGE', message)
}

async function collect(root: string): Promise<Found> {
  const ignored = ignoreRules(await readIgnore(root))
  const found: Found = { paths: [], notes: [], sizes: new Map(), files: 0, totalBytes: 0 }
  const take = async (entry: Dirent, path: string): Promise<boolean> => {
    const full = join(root, path)
    if (entry.isSymbolicLink()) {
      if (!(await leavesRoot(root, full))) return true
      found.notes.push(`${path} is left out: the link leads out of the directory`)
      return false
    }
    if (!entry.isFile()) return entry.isDirectory()
    weigh(found, path, (await lstat(full)).size)
    found.files += 1
    return true
  }
  const waiting = ['']
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    const entries = await readdir(join(root, at), { withFileTypes: true })
    entries.sort((a, b) => (a.name < b.name ? -1 : 1))
    for (const entry of entries) {
      const path = at === '' ? entry.name : `${at}/${entry.name}`
      if (ignored(path, entry.isDirectory()) || !(await take(entry, path))) continue
      found.paths.push(path)
      if (entry.isDirectory()) waiting.push(path)
      if (found.paths.length > ENTRIES_MAX) {
        const message = `${root} has more than ${ENTRIES_MAX} entries: name some in .saiignore`
        throw new CliError('WORKSPACE_TOO_LARGE', message)
      }
    }
  }
  return found
}

/**
 * Packs a directory as a gzipped tar, without what `.saiignore` and the defaults leave out;
 * undefined when nothing is left.
 *
 * @throws {CliError} `WORKSPACE_TOO_LARGE` above 100 MiB, naming the biggest entries;
 * `WORKSPACE_NOT_FOUND` where there is no directory.
 */
export async function packDirectory(directory: string): Promise<Archive | undefined> {
  const root = resolve(directory)
  const isDirectory = await stat(root).then(
    (found) => found.isDirectory(),
    () => false,
  )
  if (!isDirectory) throw new CliError('WORKSPACE_NOT_FOUND', `${root} is no directory`)
  const found = await collect(root)
  if (found.paths.length === 0) return undefined
  if (found.totalBytes > DIRECTORY_MAX_BYTES) throw tooLarge(root, found)
  const { files, totalBytes, notes } = found
  // Sorted and without owners: the same files give the same archive, which is stored once.
  const paths = found.paths.sort().map((path) => relative('.', path))
  const pack = create({ gzip: true, cwd: root, portable: true, noDirRecurse: true }, paths)
  const pieces: Uint8Array[] = []
  for await (const piece of pack) pieces.push(piece)
  return { data: Buffer.concat(pieces), files, totalBytes, notes }
}
