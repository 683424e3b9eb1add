import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  CheckpointStore,
  decodeCheckpoint,
  encodeCheckpoint,
  loadCheckpoint,
  type Settings,
} from './checkpoint.ts'
import { EXIT } from './errors.ts'

const settings: Settings = {
  epochs: 2,
  batch: 32,
  learningRate: 0.2,
  hidden: 8,
  seed: 1,
  data: 'd1',
}
const about = { runId: 'job-1', settings }
const state = () => ({
  step: 40,
  parameters: Float64Array.of(0.1, -2, Number.MIN_VALUE),
  velocity: Float64Array.of(1 / 3, -0, 5),
})

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'digits-checkpoint-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

test('a written checkpoint is read back bit by bit', () => {
  const store = new CheckpointStore(root, 3)
  store.claim()
  const line = store.write(state(), about)
  expect(line.path).toBe(join(root, 'gen-3', 'step-40.ckpt'))
  expect(line.bytes).toBe(readFileSync(line.path).length)
  expect(loadCheckpoint(line.path, settings)).toEqual(state())
  expect(readdirSync(join(root, 'gen-3'))).toEqual(['step-40.ckpt'])
})

test('a checkpoint with any changed byte, or cut anywhere, is refused', () => {
  const bytes = encodeCheckpoint(state(), { ...about, generation: 1 })
  const spoilt = fc.oneof(
    fc
      .tuple(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }))
      .map(([at, mask]) => Buffer.from(bytes.with(at, bytes[at]! ^ mask))),
    fc.nat({ max: bytes.length - 1 }).map((length) => bytes.subarray(0, length)),
  )
  fc.assert(
    fc.property(spoilt, (damaged) => {
      expect(() => decodeCheckpoint('x.ckpt', damaged, settings)).toThrow(
        expect.objectContaining({ exitCode: EXIT.badData }),
      )
    }),
  )
})

test('a checkpoint of other settings is refused with both values', () => {
  const bytes = encodeCheckpoint(state(), { ...about, generation: 1 })
  expect(() => decodeCheckpoint('x.ckpt', bytes, { ...settings, hidden: 16 })).toThrow(
    /was written with hidden 8, this run has 16/,
  )
})

test('a missing file to resume from is no start from nothing', () => {
  expect(() => loadCheckpoint(join(root, 'none.ckpt'), settings)).toThrow(
    expect.objectContaining({ exitCode: EXIT.noInput }),
  )
})

test('a generation writes nothing once a newer one has claimed the directory', () => {
  const old = new CheckpointStore(root, 1)
  old.claim()
  new CheckpointStore(root, 2).claim()
  const superseded = expect.objectContaining({ exitCode: EXIT.superseded })
  expect(() => old.write(state(), about)).toThrow(superseded)
  expect(() => new CheckpointStore(root, 1).claim()).toThrow(superseded)
  expect(readdirSync(join(root, 'gen-1'))).toEqual([])
})

test('other names in the shared directory fence nobody', () => {
  mkdirSync(join(root, 'gen-x'))
  writeFileSync(join(root, 'gen-9.txt'), '')
  expect(() => new CheckpointStore(root, 1).claim()).not.toThrow()
})

test('a shared directory that is missing, or a file, or goes away, is named', () => {
  const missing = expect.objectContaining({
    exitCode: EXIT.noInput,
    message: expect.stringContaining(root),
  })
  expect(() => new CheckpointStore(join(root, 'none'), 1).requireRoot()).toThrow(missing)
  writeFileSync(join(root, 'file'), '')
  expect(() => new CheckpointStore(join(root, 'file'), 1).requireRoot()).toThrow(missing)
  const store = new CheckpointStore(root, 1)
  store.claim()
  rmSync(root, { recursive: true })
  expect(() => store.write(state(), about)).toThrow(missing)
})
