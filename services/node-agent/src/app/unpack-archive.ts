import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { extract, list, type Parser } from 'tar'
import {
  type ArchiveEntry,
  ENTRIES_MAX,
  entryProblem,
  UNPACKED_MAX_BYTES,
} from '../core/archive.ts'

/** The archive must not be unpacked. */
export class ArchiveError extends Error {
  override readonly name = 'ArchiveError'
}

/** Reads an open file from its start into a parser, as fast as the parser takes it. */
async function feed(fd: number, parser: Parser, doneEvent: string): Promise<void> {
  const failed = new Promise<never>((_resolve, reject) => {
    parser.once('error', (error: unknown) => reject(error))
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

/** Looks at every header before anything is written. */
async function check(fd: number): Promise<void> {
  let bytes = 0
  let entries = 0
  let problem = ''
  const look = (entry: ArchiveEntry) => {
    bytes += entry.size
    entries += 1
    if (problem !== '') return
    if (bytes > UNPACKED_MAX_BYTES) problem = `it has more than ${UNPACKED_MAX_BYTES} bytes`
    else if (entries > ENTRIES_MAX) problem = `it has more than ${ENTRIES_MAX} entries`
    else problem = entryProblem(entry)
  }
  const parser = list({
    strict: true,
    onReadEntry: ({ path, type, linkpath, size }) =>
      look({ path, type, linkpath: linkpath ?? '', size }),
  })
  await feed(fd, parser, 'end')
  if (entries === 0) throw new ArchiveError('the workspace is refused: it is empty or no archive')
  if (problem !== '') throw new ArchiveError(`the workspace is refused: ${problem}`)
}

/**
 * Unpacks a gzipped tar into an existing directory. Nothing is written when an entry would leave
 * it.
 *
 * @param fd open file: its path may be out of reach for the user this runs as
 * @throws {ArchiveError} for a refused archive; other errors when it is damaged or the disk is full
 */
export async function unpackArchive(fd: number, directory: string): Promise<void> {
  await check(fd)
  await feed(fd, extract({ cwd: directory, strict: true, preserveOwner: false }), 'close')
}
