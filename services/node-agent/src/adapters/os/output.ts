import { spawnSync } from 'node:child_process'
import { chownSync, closeSync, constants, openSync } from 'node:fs'
import { type FileHandle, open, rename } from 'node:fs/promises'
import { Socket } from 'node:net'
import { codeOf } from '../../core/errors.ts'
import { unlinkIfThere } from './files.ts'

/** The end of a named pipe that a task writes its output to. */
export interface OutputPipe {
  /** File descriptor for the task's standard output and error. Close it after the start. */
  readonly writeFd: number
  /** Reader of everything written. */
  readonly reader: Socket
}

/**
 * Opens a real pipe. Node's own `pipe` is a socket pair, which breaks programs that open
 * /dev/stdout again, and gives standard output and error different queues, which loses their order.
 *
 * @param uid owner, so that the task may open /dev/stdout; undefined = this process's user.
 */
export function openOutputPipe(path: string, uid: number | undefined): OutputPipe {
  unlinkIfThere(path)
  const made = spawnSync('mkfifo', ['-m', '600', path])
  if (made.status !== 0) throw new Error(`mkfifo ${path}: ${made.stderr ?? made.error?.message}`)
  if (uid !== undefined) chownSync(path, uid, uid)
  const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const writeFd = openSync(path, constants.O_WRONLY)
  unlinkIfThere(path)
  return { writeFd, reader: new Socket({ fd: readFd, readable: true, writable: false }) }
}

/** Closes the write end of this process: from then on the task's processes alone hold it. */
export function closeWriteEnd(pipe: OutputPipe): void {
  closeSync(pipe.writeFd)
}

/** The file before the newest one. */
export function rotatedPath(path: string): string {
  return `${path}.1`
}

/** Appends to a file that is renamed to `….1` when it is full; two files are kept. */
export class RotatingFile {
  private readonly path: string
  private readonly maxBytes: number
  private handle: FileHandle | undefined
  private bytes = 0
  /** Bytes that the disk did not take since the last time it did. */
  private lostBytes = 0

  /** @param maxBytes size of one file. */
  constructor(path: string, maxBytes: number) {
    this.path = path
    this.maxBytes = maxBytes
  }

  /** Appends; bytes that do not fit on the disk are dropped and counted in the log itself. */
  async write(chunk: Uint8Array): Promise<void> {
    try {
      if (this.lostBytes > 0) {
        const note = `[serverless-ai: ${this.lostBytes} bytes of output lost, disk full]\n`
        await this.append(new TextEncoder().encode(note))
        this.lostBytes = 0
      }
      await this.append(chunk)
    } catch (error) {
      const code = codeOf(error)
      // Whatever the disk says, the task must not block on a full pipe for ever.
      if (code === 'UNKNOWN') throw error
      this.lostBytes += chunk.length
    }
  }

  private async append(chunk: Uint8Array): Promise<void> {
    let rest = chunk
    while (rest.length > 0) {
      if (this.handle !== undefined && this.bytes >= this.maxBytes) await this.rotate()
      this.handle ??= await this.openFile()
      const part = rest.subarray(0, Math.max(1, this.maxBytes - this.bytes))
      const { bytesWritten } = await this.handle.write(part)
      this.bytes += bytesWritten
      rest = rest.subarray(bytesWritten)
    }
  }

  private async openFile(): Promise<FileHandle> {
    const handle = await open(this.path, 'a', 0o600)
    this.bytes = (await handle.stat()).size
    return handle
  }

  private async rotate(): Promise<void> {
    await this.handle?.close()
    this.handle = undefined
    await rename(this.path, rotatedPath(this.path))
    this.bytes = 0
  }

  async close(): Promise<void> {
    await this.handle?.close()
    this.handle = undefined
  }
}

/**
 * Copies a task's output into its log until all writers are gone. One chunk is in memory at a
 * time: a task that writes faster than the disk waits.
 */
export async function pumpOutput(reader: Socket, file: RotatingFile): Promise<void> {
  try {
    for await (const chunk of reader) if (chunk instanceof Uint8Array) await file.write(chunk)
  } catch (error) {
    // The reader was destroyed while a process that could not be killed still holds the pipe.
    if (codeOf(error) !== 'ERR_STREAM_PREMATURE_CLOSE') throw error
  } finally {
    await file.close()
  }
}
