import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { initialShare, type ShareInput, shareDevices } from './share.ts'

const service = { name: 's', devicesPerReplica: 1, wanted: 2, floor: 1, priority: 1, target: 2 }
const job = {
  name: 't',
  devicesPerTask: 1,
  minTasks: 2,
  maxTasks: 6,
  tasks: 6,
  changedMs: undefined,
  restartCostMs: 60_000,
  priority: 0,
}
const base: ShareInput = {
  nowMs: 1_000_000,
  devices: 8,
  services: [service],
  training: [job],
  giveBackAfterMs: 30_000,
}
const counts = (input: ShareInput, state = initialShare) => {
  const { decision } = shareDevices(input, state)
  return [decision.services.map(({ count }) => count), decision.training.map(({ count }) => count)]
}

describe('one device budget', () => {
  it('takes from training what a burst needs, and no more', () => {
    expect(counts({ ...base, services: [{ ...service, wanted: 5 }] })).toEqual([[5], [3]])
  })

  it('never takes training below its minimum: the service gets in part', () => {
    const { decision } = shareDevices(
      { ...base, services: [{ ...service, wanted: 20 }] },
      initialShare,
    )
    expect(decision.training[0]!.count).toBe(2)
    expect(decision.services[0]).toMatchObject({
      count: 6,
      notes: [{ code: 'DEVICES_SHORT', numbers: { wanted: 20, granted: 6 } }],
    })
  })

  it('leaves a job alone within its restart cost', () => {
    const settling = { ...job, changedMs: 990_000 }
    const input = { ...base, services: [{ ...service, wanted: 5 }], training: [settling] }
    expect(counts(input)).toEqual([[2], [6]])
  })

  it('gives back only what was free for long enough, all the time', () => {
    const small = { ...base, training: [{ ...job, tasks: 2 }] }
    const first = shareDevices(small, initialShare)
    expect(first.decision.training[0]!.count).toBe(2)
    const busier = { ...small, nowMs: small.nowMs + 20_000, services: [{ ...service, wanted: 4 }] }
    const second = shareDevices(busier, first.state)
    const later = { ...small, nowMs: small.nowMs + 30_000 }
    expect(shareDevices(later, second.state).decision.training[0]!.count).toBe(4)
  })

  it('shrinks the least important job first and serves the most important service first', () => {
    const input: ShareInput = {
      ...base,
      devices: 10,
      services: [
        { ...service, name: 'low', wanted: 5, priority: 0, target: 1 },
        { ...service, name: 'high', wanted: 4, priority: 9, target: 1 },
      ],
      training: [
        { ...job, name: 'dear', tasks: 4, priority: 5 },
        { ...job, name: 'cheap', tasks: 4, priority: 1 },
      ],
    }
    expect(counts(input)).toEqual([
      [2, 4],
      [2, 2],
    ])
  })

  it('grows nothing while the budget is unknown', () => {
    const input = { ...base, devices: undefined, services: [{ ...service, wanted: 5 }] }
    const { decision } = shareDevices(input, initialShare)
    const sum = decision.services[0]!.count + decision.training[0]!.count
    expect(sum).toBeLessThanOrEqual(8)
  })

  it('keeps the budget, the contracts and one change per restart cost, whatever comes', () => {
    const claims = fc.record({
      devices: fc.integer({ min: 0, max: 40 }),
      wanted: fc.array(fc.nat(20), { minLength: 1, maxLength: 3 }),
      tasks: fc.array(fc.integer({ min: 2, max: 6 }), { minLength: 1, maxLength: 3 }),
      ages: fc.array(fc.nat(120_000), { minLength: 3, maxLength: 3 }),
    })
    fc.assert(
      fc.property(claims, ({ devices, wanted, tasks, ages }) => {
        const services = wanted.map((want, index) => ({
          ...service,
          name: `s${index}`,
          wanted: want,
          devicesPerReplica: index + 1,
          target: 0,
        }))
        const training = tasks.map((count, index) => ({
          ...job,
          name: `t${index}`,
          tasks: count,
          changedMs: 1_000_000 - ages[index]!,
        }))
        const input = { ...base, devices, services, training }
        const state = { freeSinceMs: 0, freeDevices: 40 }
        const { decision } = shareDevices(input, state)
        const before = training.reduce((sum, one) => sum + one.tasks, 0)
        let sum = 0
        decision.services.forEach(({ count }, index) => {
          sum += count * services[index]!.devicesPerReplica
          expect(count).toBeLessThanOrEqual(services[index]!.wanted)
        })
        decision.training.forEach(({ count }, index) => {
          sum += count
          expect(count).toBeGreaterThanOrEqual(job.minTasks)
          expect(count).toBeLessThanOrEqual(job.maxTasks)
          if (ages[index]! < job.restartCostMs) expect(count).toBe(training[index]!.tasks)
        })
        expect(sum).toBeLessThanOrEqual(Math.max(devices, before))
      }),
      { numRuns: 3_000 },
    )
  })
})
