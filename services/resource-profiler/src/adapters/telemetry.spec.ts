import {
  DeviceSample,
  NodeSample,
  type Sample,
  TaskSample,
  TelemetryBatch,
} from '@serverless-ai/contracts/telemetry/v1/telemetry'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NodeMarks, REJECTIONS } from '../core/samples.ts'
import { checkSamples, envelopeProblem } from './telemetry.ts'

const NOW = 1_795_348_800_000
const NODE = 'n1'

const uint64 = fc.oneof(fc.bigInt(0n, 1_000n), fc.bigInt(0n, 2n ** 64n - 1n))
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const number = fc.oneof(fc.double({ min: -10, max: 200 }), fc.double())
const reading = maybe(
  fc.record({
    source: fc.constantFrom('procfs', 'cgroup-v2', 'nvidia-smi', 'emulated', 'guess', ''),
    ageMs: fc.oneof(fc.constant(0n), uint64),
  }),
)
const nodeId = fc.constantFrom(NODE, NODE, NODE, 'n2', '')
const uints = fc.array(fc.nat(2 ** 32 - 1), { maxLength: 5 })

const value: fc.Arbitrary<Sample['value']> = fc.oneof(
  fc
    .record({ nodeId, reading, cpuUsTotal: maybe(uint64), memoryUsedMib: maybe(uint64) })
    .map((node) => ({
      $case: 'node' as const,
      value: { ...NodeSample.fromPartial({}), ...node, memoryTotalMib: 1_000n },
    })),
  fc
    .record({
      nodeId,
      reading,
      jobId: fc.string(),
      cpuUsTotal: maybe(uint64),
      memoryUsedMib: maybe(uint64),
      cpuTrace: maybe(fc.record({ stretchUs: uints, cpuUs: uints })),
    })
    .map((task) => ({ $case: 'task' as const, value: { ...TaskSample.fromPartial({}), ...task } })),
  fc
    .record({
      nodeId,
      reading,
      busyPct: maybe(number),
      powerWatts: maybe(number),
      temperatureCelsius: maybe(number),
      energyMjTotal: maybe(uint64),
    })
    .map((device) => ({
      $case: 'device' as const,
      value: { ...DeviceSample.fromPartial({}), ...device },
    })),
  fc.constant(undefined),
)
const sample: fc.Arbitrary<Sample> = fc.record({
  atMs: fc.oneof(
    fc.integer({ min: NOW - 90_000, max: NOW + 20_000 }).map(BigInt),
    fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
  ),
  value,
})

describe('measurements of a node', () => {
  it('are taken only when they can be, whatever comes; what is not known stays absent', () => {
    fc.assert(
      fc.property(fc.array(sample, { maxLength: 40 }), (samples) => {
        const batch = { ...TelemetryBatch.fromPartial({ source: `node/${NODE}` }), samples }
        const checked = checkSamples(batch, { nodeId: NODE, marks: new NodeMarks() }, NOW)
        expect(checked.samples.length + checked.rejected.length).toBe(samples.length)
        for (const code of checked.rejected) expect(REJECTIONS).toContain(code)
        for (const one of checked.samples) {
          // The very sample: nothing is filled in.
          expect(samples).toContain(one)
          const atMs = Number(one.atMs)
          expect(atMs).toBeGreaterThanOrEqual(NOW - 60_000)
          expect(atMs).toBeLessThanOrEqual(NOW + 5_000)
          if (one.value?.$case !== 'device') continue
          const { busyPct = 0, powerWatts = 0 } = one.value.value
          expect(busyPct >= 0 && busyPct <= 100 && powerWatts >= 0).toBe(true)
        }
      }),
      { numRuns: 400 },
    )
  })

  it('never go back, within one boot and source', () => {
    const taken: bigint[] = []
    const marks = new NodeMarks()
    const take = (cpuUsTotal: bigint, second: number, source = 'procfs') => {
      const node = { ...NodeSample.fromPartial({ nodeId: NODE }), cpuUsTotal }
      const one: Sample = {
        atMs: BigInt(NOW + second),
        value: { $case: 'node', value: { ...node, reading: { source, ageMs: 0n } } },
      }
      const batch = { ...TelemetryBatch.fromPartial({}), samples: [one] }
      const { samples, rejected } = checkSamples(batch, { nodeId: NODE, marks }, NOW)
      if (samples.length > 0) taken.push(cpuUsTotal)
      return rejected[0]
    }
    expect(take(100n, 1)).toBeUndefined()
    expect(take(200n, 2)).toBeUndefined()
    expect(take(150n, 3)).toBe('COUNTER_BACKWARDS')
    expect(take(150n, 3, 'cgroup-v2')).toBeUndefined()
    expect(take(250n, 2)).toBe('SAMPLE_FROZEN')
    // More than all cores there can be.
    expect(take(10n ** 13n, 4)).toBe('SAMPLE_ABSURD')
    expect(take(300n, 4)).toBeUndefined()
    expect(taken).toEqual([100n, 200n, 150n, 300n])
  })

  it('of a node that stands still are not taken after 15 s', () => {
    const marks = new NodeMarks()
    const codes = Array.from({ length: 20 }, (_, second) => {
      const node = { ...NodeSample.fromPartial({ nodeId: NODE }), cpuUsTotal: 7n }
      const one: Sample = {
        atMs: BigInt(NOW + second * 1_000),
        value: { $case: 'node', value: { ...node, reading: { source: 'procfs', ageMs: 0n } } },
      }
      const batch = { ...TelemetryBatch.fromPartial({}), samples: [one] }
      return checkSamples(batch, { nodeId: NODE, marks }, NOW + second * 1_000).rejected[0]
    })
    expect(codes.slice(0, 15).every((code) => code === undefined)).toBe(true)
    expect(codes.slice(15).every((code) => code === 'SAMPLE_FROZEN')).toBe(true)
  })

  it('come in batches of one node, with boot and number', () => {
    const fine = { ...TelemetryBatch.fromPartial({ source: 'node/n1', bootId: 'b' }), seq: 1n }
    expect(envelopeProblem(fine)).toBe('')
    for (const wrong of [
      undefined,
      { ...fine, source: 'gateway/r1' },
      { ...fine, source: 'node/' },
      { ...fine, bootId: '' },
      { ...fine, bootId: 'x'.repeat(999) },
      { ...fine, seq: 0n },
      { ...fine, samples: Array.from({ length: 10_001 }, () => ({ atMs: 0n, value: undefined })) },
    ]) {
      expect(envelopeProblem(wrong)).not.toBe('')
    }
  })
})
