import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { extract, list, type Parser } from 'tar'
import {
  type ArchiveEntry,
  ENTRIES_MAX,
  entryProblem,
  UNPACKED_MAX_BYTES,
} from '../../core/archive.ts'
import { codeOf, messageOf } from '../../core/errors.ts'
import { ArchiveError } from './archive-error.ts'

/** Reads an open file from its start into a parser, as fast as the parser takes it. */
async function feed(fd: number, parser: Parser, doneEvent: string): Promise<void> {
  const failed = new Promise<never>((_resolve, reject) => {
    parser.on('error', (error: unknown) => reject(error))
  })
  const done = once(parser, doneEvent)
  // A failure is seen by the race below; alone it must not end the process.
  done.catch(() => undefined)
  const copy = async () => {
    for await (const chunk of createReadStream('', { fd, start: 0, autoClose: false })) {
      if (!parser.write(chunk)) await once(parser, 'drain')
    }
    parser.end()
    await done
  }
  await Promise.race([copy(), failed])
}

/** Failures of system calls that the entries of an archive bring about, on every disk. */
const CODES_OF_ENTRIES = new Set(['EEXIST', 'EISDIR', 'ELOOP', 'ENAMETOOLONG', 'ENOTDIR'])

/** The archive's own fault, as opposed to that of the disk. */
function archiveErrorOf(error: unknown): unknown {
  const code = codeOf(error)
  const ofArchive = /^(TAR|Z)_/.test(code) || CODES_OF_ENTRIES.has(code)
  if (error instanceof ArchiveError || !ofArchive) return error
  return new ArchiveError(`the workspace cannot be unpacked: ${messageOf(error)}`)
}

/** Looks at every header before anything is written. */
async function check(fd: number): Promise<void> {
  let bytes = 0
  let entries = 0
  const problemOf = (entry: ArchiveEntry): string => {
    bytes += entry.size
    entries += 1
    if (bytes > UNPACKED_MAX_BYTES) return `it has more than ${UNPACKED_MAX_BYTES} bytes`
    if (entries > ENTRIES_MAX) return `it has more than ${ENTRIES_MAX} entries`
    return entryProblem(entry)
  }
  const parser = list({
    strict: true,
    onReadEntry: ({ path, type, linkpath, size }) => {
      const problem = problemOf({ path, type, linkpath: linkpath ?? '', size })
      // At the first one: what follows may take minutes to look through.
      if (problem !== '') parser.abort(new ArchiveError(`the workspace is refused: ${problem}`))
    },
  })
  await feed(fd, parser, 'end')
  if (entries === 0) throw new ArchiveError('the workspace is refused: it is empty or no archive')
}

/**
 * Unpacks a gzipped tar into an existing directory. Nothing is written when an entry would leave
 * it.
 *
 * @param fd open file: its path may be out of reach for the user this runs as
 * @throws {ArchiveError} for an archive that is refused or damaged; other errors are the disk's
 */
export async function unpackArchive(fd: number, directory: string): Promise<void> {
  try {
    await check(fd)
    await feed(fd, extract({ cwd: directory, strict: true, preserveOwner: false }), 'close')
  } catch (error) {
    throw archiveErrorOf(error)
  }
}
