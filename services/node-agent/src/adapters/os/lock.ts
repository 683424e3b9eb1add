import { createHash } from 'node:crypto'
import { mkdirSync, statSync } from 'node:fs'
import { createConnection, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unlinkIfThere } from './files.ts'

/** A lock on a directory that dies with its process. */
export interface DirectoryLock {
  release(): Promise<void>
}

/**
 * Address of the lock of a directory: its device and inode, so that another path to the same
 * directory meets the same lock. On Linux an abstract socket, which leaves no file behind whatever
 * ends the process; elsewhere a socket file that is taken over when nobody answers on it.
 */
function lockAddress(directory: string, purpose: string): string {
  const { dev, ino } = statSync(directory, { bigint: true })
  const id = createHash('sha256').update(`${purpose}:${dev}:${ino}`).digest('hex').slice(0, 32)
  if (process.platform === 'linux') return `\0serverless-ai/${id}`
  return join(tmpdir(), `sai-${id}.sock`)
}

function listen(address: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.maxConnections = 1
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined)
      else reject(error)
    })
    server.listen({ path: address, exclusive: true }, () => {
      server.unref()
      resolve(server)
    })
  })
}

function answers(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(address)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/**
 * Takes the lock of a directory, which is made when missing; undefined when another process holds
 * it.
 *
 * @param purpose locks of different purposes do not meet.
 */
export async function lockDirectory(
  directory: string,
  purpose: string,
): Promise<DirectoryLock | undefined> {
  mkdirSync(directory, { recursive: true })
  const address = lockAddress(directory, purpose)
  let server = await listen(address)
  if (server === undefined && !address.startsWith('\0') && !(await answers(address))) {
    unlinkIfThere(address)
    server = await listen(address)
  }
  if (server === undefined) return undefined
  const held = server
  return { release: () => new Promise((resolve) => held.close(() => resolve())) }
}

/** True when some process holds the lock. Asks without taking it: nobody is kept out by a look. */
export function isLocked(directory: string, purpose: string): Promise<boolean> {
  mkdirSync(directory, { recursive: true })
  return answers(lockAddress(directory, purpose))
}
