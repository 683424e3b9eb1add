import {
  type TelemetryBatch,
  TelemetryIntakeServiceService,
} from '@serverless-ai/contracts/telemetry/v1/telemetry'
import { RpcError } from '@serverless-ai/kernel'
import { testPorts } from '@serverless-ai/kernel/testing'
import { memoryNetwork } from '@serverless-ai/rpc'
import { describe, expect, it } from 'vitest'
import type { NodeReading, TaskReading } from '../../core/telemetry/readings.ts'
import { AgentTelemetry } from './agent-telemetry.ts'
import type { DeviceTool } from './device-watch.ts'

const ADDRESS = '127.0.0.1:7120'
const KEY = { jobId: 'j-1', gang: 0, generation: 2, rank: 1 }
const TASK = { key: KEY, tenant: 'team-a', pid: 77 }

/** A node on virtual time, and what its profiler got. */
function world(
  init: { tools?: readonly DeviceTool[]; cores?: number | ((ms: number) => number) } = {},
) {
  const ports = testPorts({ seed: 5 })
  const { time, clock, timers, logger, randomness } = ports
  const network = memoryNetwork({ timers })
  const got: TelemetryBatch[] = []
  const ends: bigint[] = []
  const serve = async (refuse?: () => RpcError) => {
    const authenticate = () => ({ subject: 'node:n1', tenant: '', roles: ['agent'] })
    const server = network.server({ clock, timers, logger, authenticate })
    server.add(TelemetryIntakeServiceService, {
      async sendTelemetry(requests) {
        if (refuse !== undefined) throw refuse()
        let batches = 0n
        for await (const { batch } of requests) {
          if (batch === undefined) continue
          got.push(batch)
          batches += 1n
        }
        ends.push(batches)
        return { batches, rejectedSamples: 0n, rejected: [] }
      },
    })
    await server.listen(ADDRESS)
    return server
  }
  const { cores = 1 } = init
  const rate = typeof cores === 'number' ? () => cores : cores
  let used = 0
  let lookedMs = 0
  const cpuUs = () => {
    for (; lookedMs < clock.monotonicMs(); lookedMs += 10) used += rate(lookedMs) * 10_000
    return Math.round(used)
  }
  const machine = {
    node: (): readonly NodeReading[] => [
      { source: 'procfs', cpuUs: 5, memoryUsedMib: 6, memoryTotalMib: 7 },
      { source: 'psi', cpuPressureUs: 8 },
    ],
    task: (): readonly TaskReading[] => [
      { source: 'cgroup-v2', cpuUs: cpuUs() },
      { source: 'procfs', memoryUsedMib: 9, threads: 3 },
    ],
    cpuUs,
    forget: () => undefined,
  }
  const config = { nodeId: 'n1', token: 't', telemetryAddress: ADDRESS, telemetryPeriodMs: 1_000 }
  const rest = { transport: network.transport(), clock, timers, randomness, logger, machine }
  const telemetry = new AgentTelemetry({ ...rest, config, tools: init.tools ?? [] })
  const samples = () =>
    got.flatMap((batch) => batch.samples.flatMap(({ value }) => (value ? [value] : [])))
  const tasks = () => samples().flatMap((one) => (one.$case === 'task' ? [one.value] : []))
  return { time, telemetry, serve, got, ends, samples, tasks, logger }
}

describe('what an agent measures', () => {
  it('each source is a sample of its own; what it does not know is absent', async () => {
    const { time, telemetry, serve, got, tasks, samples } = world()
    await serve()
    telemetry.watch([TASK])
    await time.advance(1_500)
    const [group, processes] = tasks()
    expect(group).toMatchObject({
      ...{ jobId: 'j-1', gang: 0, generation: 2, rank: 1, tenant: 'team-a', nodeId: 'n1' },
      reading: { source: 'cgroup-v2', ageMs: 0n },
      memoryUsedMib: undefined,
    })
    expect(group?.cpuUsTotal).toBeGreaterThan(0n)
    expect(processes).toMatchObject({
      reading: { source: 'procfs' },
      ...{ cpuUsTotal: undefined, memoryUsedMib: 9n, threads: 3, step: undefined },
    })
    const nodes = samples().flatMap((one) => (one.$case === 'node' ? [one.value] : []))
    expect(nodes.map(({ reading }) => reading?.source)).toEqual(['procfs', 'psi'])
    expect(nodes[0]).toMatchObject({ nodeId: 'n1', cpuUsTotal: 5n, cpuPressureUsTotal: undefined })
    expect(got[0]).toMatchObject({ source: 'node/n1', seq: 1n, droppedSamples: 0n })
    telemetry.stop()
  })

  it('tells the step of a task once, when it changed', async () => {
    const { time, telemetry, serve, tasks } = world()
    await serve()
    telemetry.watch([TASK])
    const report = (...json: string[]) => {
      const taskReports = json.map((line, index) => ({ key: KEY, line: index + 1, json: line }))
      const applied = { epoch: '1', position: '1' }
      telemetry.onReport({ number: 1, executions: [], taskReports, applied })
    }
    report('{"kind":"progress","step":7}', '{"kind":"progress","step":8}', '"progress" no JSON')
    await time.advance(3_500)
    report('{"kind":"progress","step":8}', '{"kind":"result","step":9}')
    await time.advance(2_000)
    report('{"kind":"progress","step":12}')
    await time.advance(2_000)
    const steps = tasks().filter(({ step }) => step !== undefined)
    expect(steps.map(({ step, reading }) => [step, reading?.source])).toEqual([
      [8n, 'report'],
      [12n, 'report'],
    ])
    telemetry.stop()
  })

  it('traces a task that computes, stretch by stretch up to each sample', async () => {
    const { time, telemetry, serve, tasks } = world({ cores: 0.5 })
    await serve()
    telemetry.watch([TASK])
    await time.advance(5_200)
    const traces = tasks().flatMap(({ cpuTrace }) => (cpuTrace ? [cpuTrace] : []))
    expect(traces.length).toBeGreaterThanOrEqual(3)
    for (const { stretchUs, cpuUs } of traces) {
      expect(stretchUs.reduce((a, b) => a + b, 0)).toBe(1_000_000)
      expect(cpuUs.reduce((a, b) => a + b, 0)).toBe(500_000)
      expect(stretchUs.length).toBe(10)
    }
    telemetry.stop()
  })

  it('traces bursts that are seconds apart without a hole', async () => {
    const { time, telemetry, serve, tasks } = world({ cores: (ms) => (ms % 4_000 < 1_000 ? 1 : 0) })
    await serve()
    telemetry.watch([TASK])
    await time.advance(25_000)
    telemetry.stop()
    const all = tasks().filter(({ cpuUsTotal }) => cpuUsTotal !== undefined)
    const begin = all.findIndex(({ cpuTrace }) => cpuTrace !== undefined)
    expect(begin).toBeLessThan(8)
    expect(all.slice(begin).every(({ cpuTrace }) => cpuTrace !== undefined)).toBe(true)
  })

  it('does not trace a task that does nothing, nor any for long', async () => {
    const tracedOf = async (cores: number) => {
      const { telemetry, serve, time, tasks } = world({ cores })
      await serve()
      telemetry.watch([TASK])
      await time.advance(300_000)
      telemetry.stop()
      return tasks().filter(({ cpuTrace }) => cpuTrace !== undefined).length
    }
    expect(await tracedOf(0.01)).toBe(0)
    // At first, and never again.
    const little = await tracedOf(0.1)
    expect(little).toBeGreaterThanOrEqual(40)
    expect(little).toBeLessThan(60)
    const busy = world()
    await busy.serve()
    busy.telemetry.watch([TASK])
    await busy.time.advance(180_000)
    const all = busy.tasks().filter(({ cpuUsTotal }) => cpuUsTotal !== undefined)
    const traced = all.filter(({ cpuTrace }) => cpuTrace !== undefined)
    expect(traced.length).toBeGreaterThan(60)
    expect(traced.length).toBeLessThan(80)
    busy.telemetry.stop()
  })

  it('measures an idle node ten times less often', async () => {
    const { time, telemetry, serve, got } = world()
    await serve()
    await time.advance(31_500)
    expect(got.length).toBe(4)
    telemetry.watch([TASK])
    await time.advance(3_000)
    expect(got.length).toBe(7)
    telemetry.watch([])
    await time.advance(30_000)
    expect(got.length).toBeLessThanOrEqual(11)
    telemetry.stop()
  })

  it('tells how old the readings of a device may be', async () => {
    let calls = 0
    const device = { source: 'dcgm', index: 0, model: 'L40S' } as const
    const tool: DeviceTool = {
      ...{ name: 'dcgm', everyMs: 5_000, cached: true },
      ask: async () => (calls++ < 3 ? 'the same' : 'another'),
      parse: () => [device],
    }
    const { time, telemetry, serve, samples } = world({ tools: [tool] })
    await serve()
    await time.advance(26_000)
    const ages = samples().flatMap((one) =>
      one.$case === 'device' ? [one.value.reading?.ageMs] : [],
    )
    expect(ages.slice(0, 4)).toEqual([0n, 5_000n, 10_000n, 0n])
    telemetry.stop()
  })

  it('asks a tool that fails again after a minute', async () => {
    let calls = 0
    const ask = () => {
      calls += 1
      return Promise.reject(new Error('NVML: driver mismatch'))
    }
    const tools = [{ name: 'nvidia-smi', everyMs: 5_000, ask, parse: () => [] }]
    const { time, telemetry, serve, logger } = world({ tools })
    await serve()
    await time.advance(59_000)
    expect(calls).toBe(1)
    await time.advance(2_000)
    expect(calls).toBe(2)
    expect(logger.lines.some(({ message }) => message === 'devices cannot be read')).toBe(true)
    telemetry.stop()
  })
})

describe('the stream of an agent', () => {
  it('begins anew every 30 s, without losing or repeating a batch', async () => {
    const { time, telemetry, serve, got, ends } = world()
    await serve()
    telemetry.watch([TASK])
    await time.advance(100_000)
    expect(ends.length).toBeGreaterThanOrEqual(3)
    expect(got.map(({ seq }) => Number(seq))).toEqual(got.map((_, index) => index + 1))
    telemetry.stop()
  })

  it('drops the oldest while nobody takes them, and says how many', async () => {
    const { time, telemetry, serve, got } = world()
    telemetry.watch([TASK])
    await time.advance(120_000)
    expect(got).toEqual([])
    await serve()
    await time.advance(35_000)
    const [first] = got
    // Thirty batches waited.
    expect(Number(first?.seq)).toBeGreaterThan(80)
    expect(first?.droppedSamples).toBeGreaterThan(300n)
    const seqs = got.map(({ seq }) => Number(seq))
    expect(seqs).toEqual(seqs.map((_, index) => Number(first?.seq) + index))
    telemetry.stop()
  })

  it('is said once to be down, and once to be up', async () => {
    const { time, telemetry, serve, logger } = world()
    const unknown = { code: 'UNIMPLEMENTED', reason: 'UNIMPLEMENTED', message: 'no' } as const
    const server = await serve(() => new RpcError(unknown))
    telemetry.watch([TASK])
    await time.advance(300_000)
    const said = (text: string) => logger.lines.filter(({ message }) => message === text).length
    expect(said('measurements are not sent')).toBe(1)
    await time.run(server.close(0))
    await serve()
    await time.advance(90_000)
    expect(said('measurements are sent again')).toBe(1)
    telemetry.stop()
  })

  it('ends with the agent: nothing is measured or sent any more', async () => {
    const { time, telemetry, serve, got } = world()
    await serve()
    telemetry.watch([TASK])
    await time.advance(5_000)
    telemetry.stop()
    const { length } = got
    await time.advance(60_000)
    expect(got.length).toBe(length)
  })
})
