// Unpacks a workspace as the user of a task: `node unpack.js ARCHIVE DIRECTORY UID|-`. A process of
// its own, so that neither its memory nor its privileges are those of the agent.
import { openSync } from 'node:fs'
import { messageOf } from './adapters/os/files.ts'
import { unpackArchive } from './app/unpack-archive.ts'

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
  process.exit(1)
}
