import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { recorded } from '../../testing/recorded.ts'
import {
  groupDirectory,
  parseGroupMounts,
  parsePidCgroup,
  readingOfV1,
  readingOfV2,
} from './cgroup-files.ts'
import { CpuTrace, RisingSum } from './counters.ts'
import {
  parseMeminfo,
  parsePidStat,
  parsePids,
  parsePressure,
  parseStat,
  processesReading,
} from './proc-files.ts'

const proc = (name: string) => recorded(`proc/${name}`)
const v1 = (name: string) => recorded(`cgroup-v1/${name}`)
const v2 = (name: string) => recorded(`cgroup-v2/${name}`)

describe('/proc', () => {
  it('CPU time is what is neither idle, waiting, nor stolen', () => {
    const columns = [4887978, 1697567, 830208, 2600817, 21264, 0, 41204]
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = columns
    const busy = user + nice + system + irq + softirq
    expect(parseStat(proc('stat'))).toBe(busy * 10_000)
    expect(parseStat('cpu  1 2\n')).toBeUndefined()
  })

  it('memory in use is what is not available', () => {
    const text = 'MemTotal:  8388608 kB\nMemFree: 1024 kB\nMemAvailable:  6291456 kB\n'
    expect(parseMeminfo(text)).toEqual({ memoryTotalMib: 8_192, memoryUsedMib: 2_048 })
    expect(parseMeminfo('MemTotal: 1024 kB\n')).toEqual({ memoryTotalMib: 1 })
    expect(parseMeminfo('')).toEqual({})
    const { memoryTotalMib = 0, memoryUsedMib = 0 } = parseMeminfo(proc('meminfo'))
    expect(memoryUsedMib).toBeGreaterThan(0)
    expect(memoryUsedMib).toBeLessThan(memoryTotalMib)
  })

  it('pressure is the time in which some task waited', () => {
    expect(parsePressure(proc('pressure-cpu'))).toBe(28_401_218_342)
    expect(parsePressure('')).toBeUndefined()
  })

  it('a process has the time of its ended children, whatever it is called', () => {
    expect(parsePidStat(proc('pid-stat'))).toBe((6 + 3 + 5 + 3) * 10_000)
    const named = proc('pid-stat').replace('(python3)', '(a) b (c)')
    expect(parsePidStat(named)).toBe(170_000)
    expect(parsePidStat('1 (x) S')).toBeUndefined()
  })

  it('processes of a task add up; what they share counts once', () => {
    const one = { stat: proc('pid-stat'), status: proc('pid-status'), io: proc('pid-io') }
    expect(processesReading([one, one])).toEqual({
      source: 'procfs',
      cpuUs: 340_000,
      memoryUsedMib: Math.floor((2 * 36_268 + 6_640) / 1024),
      memoryPeakMib: 41,
      readBytes: 819_200,
      writtenBytes: 32_768,
      threads: 12,
    })
    expect(processesReading([one, { ...one, io: undefined }])).toMatchObject({
      readBytes: undefined,
      threads: 12,
    })
    expect(processesReading([])).toBeUndefined()
  })

  it('reads process ids', () => {
    expect(parsePids('12 7 x -3 0 99999999999\n')).toEqual([12, 7])
  })
})

describe('control groups', () => {
  it('version 2: microseconds, memory without what can be reclaimed, all disks', () => {
    const files = ['cpu.stat', 'memory.current', 'memory.stat', 'memory.peak', 'io.stat'] as const
    const texts = Object.fromEntries(files.map((name) => [name, v2(name)]))
    expect(readingOfV2({ ...texts, 'pids.current': v2('pids.current') })).toEqual({
      source: 'cgroup-v2',
      cpuUs: Number(/usage_usec (\d+)/.exec(v2('cpu.stat'))?.[1]),
      memoryUsedMib: 512 - 100,
      memoryPeakMib: 768,
      readBytes: 1_459_200 + 90_430_464,
      writtenBytes: 314_773_504 + 299_008_000,
      threads: 12,
    })
  })

  it('version 2 without controllers knows CPU time alone', () => {
    const reading = readingOfV2({ 'cpu.stat': v2('cpu.stat') })
    const known = Object.entries(reading).filter(([, value]) => value !== undefined)
    expect(known.map(([name]) => name)).toEqual(['source', 'cpuUs'])
    expect(readingOfV2({ 'io.stat': '' })).toMatchObject({ readBytes: 0, writtenBytes: 0 })
  })

  it('version 1: nanoseconds become microseconds', () => {
    const reading = readingOfV1({
      'cpuacct.usage': v1('cpuacct.usage'),
      'memory.usage_in_bytes': v1('memory.usage_in_bytes'),
      'memory.stat': v1('memory.stat'),
      'memory.max_usage_in_bytes': v1('memory.max_usage_in_bytes'),
      'blkio.throttle.io_service_bytes': v1('blkio.throttle.io_service_bytes'),
    })
    expect(reading).toEqual({
      source: 'cgroup-v1',
      cpuUs: 74_988_180_303,
      memoryUsedMib: Math.floor((692_797_440 - 244_092_928) / 1024 / 1024),
      memoryPeakMib: Math.floor(19_068_174_336 / 1024 / 1024),
      readBytes: 4_096_000,
      writtenBytes: 8_192,
      threads: undefined,
    })
  })

  it('finds the groups of a process where their hierarchies are mounted', () => {
    const mounts = parseGroupMounts(proc('mountinfo'))
    const groups = parsePidCgroup(proc('pid-cgroup'))
    const at = (controller: string) =>
      groupDirectory(mounts, controller, groups.get(controller) ?? '?')
    expect(at('cpuacct')).toBe('/sys/fs/cgroup/cpuacct/docker/4f1c')
    expect(at('')).toBe('/sys/fs/cgroup/unified/serverless-ai-1f/task-1')
    expect(at('hugetlb')).toBeUndefined()
    const container = '1 2 0:1 /docker/4f1c /sys/fs/cgroup/memory ro - cgroup cgroup ro,memory'
    const inside = parseGroupMounts(container)
    expect(groupDirectory(inside, 'memory', '/docker/4f1c')).toBe('/sys/fs/cgroup/memory')
    expect(groupDirectory(inside, 'memory', '/docker/4f1c/a')).toBe('/sys/fs/cgroup/memory/a')
    expect(groupDirectory(inside, 'memory', '/docker/other')).toBeUndefined()
  })

  it('garbled files give numbers that can be, or none', () => {
    const whole = (value: unknown) =>
      value === undefined || (Number.isSafeInteger(value) && Number(value) >= 0)
    const text = fc.oneof(fc.string(), fc.constantFrom('max', '-1', '1e30', '18446744073709551615'))
    const one = fc.property(text, (garbage) => {
      const [a, b] = [
        readingOfV2({
          'cpu.stat': `usage_usec ${garbage}`,
          'memory.current': garbage,
          'memory.stat': `inactive_file ${garbage}`,
          'memory.peak': garbage,
          'io.stat': garbage,
        }),
        readingOfV1({ 'cpuacct.usage': garbage, 'blkio.throttle.io_service_bytes': garbage }),
      ]
      const process = { stat: garbage, status: garbage, io: garbage }
      for (const { source: _, ...values } of [a, b, processesReading([process])!]) {
        expect(Object.values(values).every(whole)).toBe(true)
      }
      expect([parseStat(garbage), parsePressure(garbage)].every(whole)).toBe(true)
    })
    fc.assert(one, { numRuns: 1_000 })
  })
})

describe('counters', () => {
  it('never fall when a process takes its part along', () => {
    const counter = new RisingSum()
    const sums = [10, 25, 5, 7, undefined, 9]
    expect(sums.map((sum) => counter.next(sum))).toEqual([10, 25, 25, 27, undefined, 29])
  })

  it('a trace holds all CPU time between two samples, and ends at the sample', () => {
    const steps = fc.array(
      fc.record({
        us: fc.integer({ min: 1_000, max: 200_000 }),
        cpu: fc.integer({ min: 0, max: 400_000 }),
      }),
      { minLength: 1, maxLength: 100 },
    )
    const one = fc.property(steps, (all) => {
      const trace = new CpuTrace()
      let [atUs, cpuUs] = [5_000_000, 0]
      trace.take(atUs, cpuUs)
      for (const { us, cpu } of all) {
        atUs += us
        cpuUs += cpu
        trace.add(atUs, cpuUs)
      }
      const taken = trace.take(atUs, cpuUs)
      const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0)
      if (atUs - 5_000_000 < 10_000) {
        expect(taken).toBeUndefined()
        return
      }
      expect(sum(taken?.stretchUs ?? [])).toBe(atUs - 5_000_000)
      expect(sum(taken?.cpuUs ?? [])).toBe(cpuUs)
      expect(Math.min(...(taken?.stretchUs ?? []))).toBeGreaterThanOrEqual(10_000)
    })
    fc.assert(one, { numRuns: 500 })
  })

  it('a trace that was interrupted begins anew', () => {
    const trace = new CpuTrace()
    trace.add(0, 0)
    trace.add(50_000, 10_000)
    trace.add(1_200_000, 20_000)
    expect(trace.take(1_250_000, 30_000)).toEqual({ stretchUs: [50_000], cpuUs: [10_000] })
    trace.stop()
    expect(trace.take(1_300_000, 40_000)).toBeUndefined()
  })
})
