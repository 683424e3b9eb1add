import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type ExecutionKey, NO_VERSION } from '../../core/keys.ts'
import { exitOf } from '../../core/types.ts'
import { FileNodeStore } from './store.ts'

let dir: string
let store: FileNodeStore

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sai-store-'))
  store = new FileNodeStore(dir)
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const key = (rank: number): ExecutionKey => ({ jobId: 'j-1', gang: 0, generation: 1, rank })
const start = (taskDir: string) => ({ pid: 7, startTime: '9', startedMs: 5, taskDir, uid: 200_001 })

it('keeps the highest version of a desired set', () => {
  expect(store.journal()).toEqual(NO_VERSION)
  store.writeJournal({ epoch: '2', position: '5' })
  store.writeJournal({ epoch: '1', position: '9' })
  expect(new FileNodeStore(dir).journal()).toEqual({ epoch: '2', position: '5' })
})

it('gives what an older session left an end, once', () => {
  store.recordStart(key(0), start('/t0'))
  store.recordStart(key(1), start('/t1'))
  store.recordExit(key(1), exitOf('NODE_SHUTDOWN', 'x', 3))
  const causes = (wallMs: number) =>
    new FileNodeStore(dir).load(wallMs).map(({ status }) => [status.exit?.cause, status.exit?.atMs])
  const wanted = [
    ['SUPERVISOR_LOST', 100],
    ['NODE_SHUTDOWN', 3],
  ]
  expect(causes(100)).toEqual(wanted)
  expect(causes(200)).toEqual(wanted)
})

it('forgets what was prepared and never started', () => {
  mkdirSync(store.directory(key(0)), { recursive: true })
  expect(store.load(1)).toEqual([])
  expect(existsSync(store.directory(key(0)))).toBe(false)
})

it('does not forget an execution whose record the disk does not give', () => {
  // Reading a directory fails as a bad disk does: with another code than that of a missing file.
  mkdirSync(join(store.directory(key(0)), 'started.json'), { recursive: true })
  expect(() => store.load(1)).toThrow('EISDIR')
  expect(existsSync(store.directory(key(0)))).toBe(true)
})

it('knows of a start after the execution was forgotten, until it is pruned', () => {
  for (const rank of [0, 1, 2]) {
    store.recordStart(key(rank), start(`/t${rank}`))
    writeFileSync(join(store.directory(key(rank)), 'output.log'), 'text')
    store.recordExit(key(rank), exitOf('EXITED', '', 1))
    store.forget(key(rank))
    utimesSync(join(dir, 'ended', 'j-1', `0-1-${rank}`), rank + 1, rank + 1)
  }
  expect(store.load(1)).toEqual([])
  expect(store.wasStarted(key(0)) && store.hasEnded(key(0))).toBe(true)
  expect(store.findLog(key(0))).toBe(join(dir, 'ended', 'j-1', '0-1-0', 'output.log'))
  expect(store.prune(2).map(({ taskDir }) => taskDir)).toEqual(['/t0'])
  expect(store.findLog(key(0))).toBeUndefined()
  expect(store.prune(0)).toHaveLength(2)
  expect(existsSync(join(dir, 'ended', 'j-1'))).toBe(false)
})
