// The thread that owns the database file. It sleeps until a message comes; appends that arrived
// while an fsync ran share the next one.
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { LogOpenError } from '../port.ts'
import { type AppendOutcome, LogDatabase } from './database.ts'
import { damagedError, logFiles } from './directory.ts'
import { isDamage, SQLITE_FULL, sqliteCode } from './open-database.ts'
import type { FromWorker, Reply, ToWorker, WorkerSettings } from './protocol.ts'

/**
 * Bytes in one transaction: beyond, the group is split so that the first ones do not wait for the
 * last.
 */
const GROUP_MAX_BYTES = 16 * 1024 * 1024

type Append = Extract<ToWorker, { type: 'append' }>
type Read = Extract<ToWorker, { type: 'read' }>
type Trim = Extract<ToWorker, { type: 'trim' }>

const port = parentPort
if (port === null) throw new Error('this file is a worker')
const settings: WorkerSettings = workerData

function send(message: FromWorker, transfer: readonly ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer)
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

function failure(id: number, error: unknown, unknown: boolean): Reply {
  if (unknown) return { type: 'unknown', id, message: textOf(error) }
  if (error instanceof LogOpenError) {
    return { type: 'damaged', id, path: error.path, message: error.message }
  }
  if (isDamage(error)) {
    const files = logFiles(settings.directory)
    const { path, message } = damagedError(files, files.main, textOf(error))
    return { type: 'damaged', id, path, message }
  }
  if (sqliteCode(error) === SQLITE_FULL) {
    const where = settings.directory
    const message = `no space left for the log in ${where}; make room: nothing was lost`
    return { type: 'refused', id, code: 'DISK_FULL', message }
  }
  return { type: 'refused', id, code: 'IO', message: textOf(error) }
}

function appendReply({ id }: Append, outcome: AppendOutcome): Reply {
  return outcome.ok
    ? { type: 'appended', id, position: outcome.position }
    : failure(id, outcome.error, outcome.unknown)
}

/**
 * Appends as one transaction; when that fails for want of space each on its own, so that small ones
 * still get in.
 */
function appendAll(db: LogDatabase, group: readonly Append[]): Reply[] {
  const outcomes = db.appendGroup(group)
  const failed = outcomes.find((outcome) => !outcome.ok)
  if (failed === undefined || failed.unknown || group.length === 1) {
    return group.map((append, index) => appendReply(append, outcomes[index]!))
  }
  return group.map((append) => appendReply(append, db.appendGroup([append])[0]!))
}

function flush(db: LogDatabase, appends: Append[]): void {
  while (appends.length > 0) {
    let bytes = 0
    let count = 0
    while (count < appends.length && (count === 0 || bytes < GROUP_MAX_BYTES)) {
      bytes += appends[count]!.packed.buffer.byteLength
      count += 1
    }
    send({ type: 'replies', replies: appendAll(db, appends.splice(0, count)) })
    if (db.checkpointDue) db.checkpoint()
  }
}

const reply = (each: Reply): void => send({ type: 'replies', replies: [each] })

function read(db: LogDatabase, { id, address, from, maxBytes }: Read): void {
  try {
    const packed = db.read(address, from, maxBytes)
    send({ type: 'replies', replies: [{ type: 'read', id, from, packed }] }, [packed.buffer])
  } catch (error) {
    reply(failure(id, error, false))
  }
}

/** Trims that are under way: a piece per turn, so that appends and reads need not wait. */
const trims: Trim[] = []

function trimOn(db: LogDatabase): void {
  const [trim] = trims
  if (trim === undefined) return
  const { id, address, below } = trim
  try {
    if (!db.trimPiece(address, below)) {
      setImmediate(trimOn, db)
      return
    }
    reply({ type: 'done', id })
  } catch (error) {
    reply(failure(id, error, false))
  }
  trims.shift()
  if (trims.length > 0) setImmediate(trimOn, db)
}

function close(db: LogDatabase, id: number): void {
  for (const trim of trims.splice(0)) {
    reply({ type: 'refused', id: trim.id, code: 'CLOSED', message: 'closed while trimming' })
  }
  try {
    db.close()
    reply({ type: 'done', id })
  } catch (error) {
    reply(failure(id, error, false))
  }
  port?.close()
}

function perform(db: LogDatabase, request: Exclude<ToWorker, Append>): void {
  if (request.type === 'read') read(db, request)
  else if (request.type === 'close') close(db, request.id)
  else {
    trims.push(request)
    if (trims.length === 1) trimOn(db)
  }
}

/** Handles everything that has arrived, in order; neighbouring appends in one transaction. */
function handle(db: LogDatabase, first: ToWorker): void {
  const appends: Append[] = []
  for (let message: ToWorker | undefined = first; message !== undefined; message = next()) {
    if (message.type === 'append') {
      appends.push(message)
      continue
    }
    flush(db, appends)
    perform(db, message)
  }
  flush(db, appends)
}

function next(): ToWorker | undefined {
  return port === null ? undefined : receiveMessageOnPort(port)?.message
}

try {
  const db = new LogDatabase(settings)
  port.on('message', (message: ToWorker) => handle(db, message))
  send({ type: 'opened', partitions: db.ranges() })
} catch (error) {
  const files = logFiles(settings.directory)
  const known =
    error instanceof LogOpenError
      ? error
      : new LogOpenError('NOT_WRITABLE', files.directory, textOf(error))
  const { code, path, message } = known
  send({ type: 'openFailed', code, path, message })
}
