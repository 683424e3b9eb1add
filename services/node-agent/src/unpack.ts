// Unpacks a workspace as the user of a task: `node unpack.js ARCHIVE DIRECTORY UID|-`. A process of
// its own, so that neither its memory nor its privileges are those of the agent. Exit status 65:
// the archive cannot be unpacked anywhere; another one: it failed here.
import { openSync } from 'node:fs'
import { ArchiveError, EXIT_BAD_ARCHIVE } from './app/machine/archive-error.ts'
import { unpackArchive } from './app/machine/unpack-archive.ts'
import { messageOf } from './core/errors.ts'

const [archive = '', directory = '', uid = '-'] = process.argv.slice(2)
try {
  // Opened with the privileges that reach it, read with those of the task's user.
  const fd = openSync(archive, 'r')
  process.umask(0o022)
  if (uid !== '-') {
    process.setgroups?.([])
    process.setgid?.(Number(uid))
    process.setuid?.(Number(uid))
  }
  await unpackArchive(fd, directory)
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`)
  process.exit(error instanceof ArchiveError ? EXIT_BAD_ARCHIVE : 1)
}
