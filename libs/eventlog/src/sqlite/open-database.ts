import { closeSync, existsSync, fsyncSync, openSync, statSync, writeSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { LogOpenError } from '../port.ts'
import { damagedError, databaseExists, type LogFiles } from './directory.ts'
import type { WorkerSettings } from './protocol.ts'

/** Version of the tables. */
const SCHEMA_VERSION = 1
/**
 * A check of the whole file at the start only up to this size: it would take longer than a second
 * beyond.
 */
const FULL_CHECK_MAX_BYTES = 64 * 1024 * 1024

/** Numeric result code of SQLite, extended; 0 when the error is none of SQLite's. */
export function sqliteCode(error: unknown): number {
  if (error instanceof Error && 'errcode' in error && typeof error.errcode === 'number') {
    return error.errcode
  }
  return 0
}

const SQLITE_BUSY = 5
const SQLITE_READONLY = 8
const SQLITE_IOERR = 10
const SQLITE_CORRUPT = 11
export const SQLITE_FULL = 13
const SQLITE_CANTOPEN = 14
const SQLITE_NOTADB = 26

const primary = (error: unknown): number => sqliteCode(error) & 0xff

/** True when the error means that the file's content is wrong. */
export function isDamage(error: unknown): boolean {
  return primary(error) === SQLITE_CORRUPT || primary(error) === SQLITE_NOTADB
}

/** True when a failed commit may still be found in the file later. */
export const mayHaveHappened = (error: unknown): boolean => primary(error) === SQLITE_IOERR

/**
 * Takes the lock or throws `IN_USE`. It is held until the returned connection is closed or the
 * process ends.
 */
export function takeLock(files: LogFiles): DatabaseSync {
  let lock: DatabaseSync | undefined
  try {
    lock = new DatabaseSync(files.lock, { timeout: 0 })
    lock.exec('pragma journal_mode=delete; begin exclusive')
    return lock
  } catch (error) {
    lock?.close()
    if (primary(error) === SQLITE_BUSY) {
      throw new LogOpenError(
        'IN_USE',
        files.directory,
        `the log directory ${files.directory} is in use by another process; ` +
          'stop that one, or name another data directory',
      )
    }
    throw openError(files, files.lock, error)
  }
}

/** What a failure while opening means. */
export function openError(files: LogFiles, path: string, error: unknown): LogOpenError {
  if (error instanceof LogOpenError) return error
  const message = error instanceof Error ? error.message : String(error)
  if (isDamage(error)) return damagedError(files, path, message)
  const code = primary(error)
  if ([SQLITE_READONLY, SQLITE_CANTOPEN, SQLITE_FULL, SQLITE_IOERR].includes(code)) {
    const mend = 'make room, or give this user write access to it'
    return new LogOpenError(
      'NOT_WRITABLE',
      path,
      `the log file ${path} cannot be written (${message}); ${mend}`,
    )
  }
  return damagedError(files, path, message)
}

/** A number of a row; 0 when it is not there. */
export function number(row: unknown, name: string): number {
  if (typeof row === 'object' && row !== null && name in row) {
    const value: unknown = Reflect.get(row, name)
    if (typeof value === 'number') return value
  }
  return 0
}

function createTables(db: DatabaseSync): void {
  db.exec(`
    begin immediate;
    create table meta (name text primary key, value integer not null) strict;
    create table partitions (
      id integer primary key, topic text not null, number integer not null,
      start integer not null, unique (topic, number)
    ) strict;
    create table records (
      id integer primary key, key text not null, headers text not null, value blob not null
    ) strict;
    insert into meta values ('schema_version', ${SCHEMA_VERSION});
    commit;
    pragma wal_checkpoint(truncate);
  `)
}

/** Says durably that there is a database from now on. */
function writeMarker(files: LogFiles): void {
  if (existsSync(files.marker)) return
  const handle = openSync(files.marker, 'w')
  try {
    writeSync(handle, 'This directory holds an event log: log.db, log.db-wal, log.lock.\n')
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  const directory = openSync(files.directory, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

function checkTables(db: DatabaseSync, files: LogFiles): void {
  const tables = db.prepare("select count(*) as n from sqlite_schema where type = 'table'").get()
  if (number(tables, 'n') === 0) {
    if (existsSync(files.marker)) throw damagedError(files, files.main, 'it holds no tables')
    // The process ended between making the file and its tables: nothing was ever in it.
    createTables(db)
    return
  }
  const row = db.prepare("select value from meta where name = 'schema_version'").get()
  const version = number(row, 'value')
  if (version > SCHEMA_VERSION) {
    throw new LogOpenError(
      'NEWER_VERSION',
      files.main,
      `the log file ${files.main} was written by a newer release (version ${version}; this one ` +
        `knows ${SCHEMA_VERSION}); start that release again, or restore a backup from before it`,
    )
  }
  if (version < 1) throw damagedError(files, files.main, 'it has no version')
  if (statSync(files.main).size > FULL_CHECK_MAX_BYTES) return
  const check = db.prepare('pragma quick_check(1)').get()
  const verdict: unknown = check === undefined ? '' : Object.values(check)[0]
  if (verdict !== 'ok') throw damagedError(files, files.main, String(verdict))
}

/** Opens or makes the database; its tables are there and sound. */
export function openMain(files: LogFiles, settings: WorkerSettings): DatabaseSync {
  databaseExists(files)
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(files.main, { timeout: 5000 })
    // Every commit is on the disk before it is acknowledged; moving pages to the database is done
    // between commits.
    db.exec('pragma journal_mode=wal; pragma synchronous=full; pragma wal_autocheckpoint=0')
    if (settings.maxPages > 0) db.exec(`pragma max_page_count=${settings.maxPages}`)
    checkTables(db, files)
    writeMarker(files)
    return db
  } catch (error) {
    db?.close()
    throw openError(files, files.main, error)
  }
}
