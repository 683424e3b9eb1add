import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { systemClock } from '@serverless-ai/kernel/system'
import { afterEach, expect, it } from 'vitest'
import type { TaskReading } from '../../core/telemetry/readings.ts'
import { OsReadings } from './readings.ts'

const children: ChildProcess[] = []
const directories: string[] = []
afterEach(async () => {
  for (const child of children.splice(0)) {
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  for (const directory of directories.splice(0)) rmdirSync(directory)
})

/** A process that computes without an end, and says when it runs. */
async function burning(): Promise<number> {
  const text = "console.log('runs'); const hold = Buffer.alloc(3e7, 1); for (;;);"
  const child = spawn(process.execPath, ['-e', text], { stdio: ['ignore', 'pipe', 'ignore'] })
  children.push(child)
  await once(child.stdout, 'data')
  return child.pid ?? 0
}

/** Samples until one shows what is looked for. */
async function until(
  readings: OsReadings,
  pid: number,
  find: (reading: TaskReading) => boolean,
): Promise<TaskReading> {
  for (;;) {
    const found = readings.task(pid).find(find)
    if (found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

it('reads the machine: what its kernel has, from two sources', () => {
  const [procfs, psi] = new OsReadings(systemClock).node()
  expect(procfs).toMatchObject({ source: 'procfs', cpuUs: expect.any(Number) })
  expect(procfs?.memoryUsedMib).toBeLessThan(procfs?.memoryTotalMib ?? 0)
  expect(psi === undefined || psi.source === 'psi').toBe(true)
  expect(psi === undefined).toBe(!existsSync('/proc/pressure/cpu'))
})

it('reads processes where there is no group', async () => {
  const pid = await burning()
  const readings = new OsReadings(systemClock)
  const {
    source,
    memoryUsedMib = 0,
    threads = 0,
  } = await until(
    readings,
    pid,
    ({ cpuUs = 0, memoryUsedMib: used = 0 }) => cpuUs > 100_000 && used > 30,
  )
  expect(source).toBe('procfs')
  expect(memoryUsedMib).toBeLessThan(500)
  expect(threads).toBeGreaterThan(1)
  const before = readings.cpuUs(pid) ?? 0
  expect(before).toBeGreaterThanOrEqual(100_000)
  const grows = () => ((readings.cpuUs(pid) ?? 0) > before + 50_000 ? true : undefined)
  while (grows() === undefined) await new Promise((resolve) => setTimeout(resolve, 20))
})

it('says nothing of processes that are gone', async () => {
  const pid = await burning()
  const readings = new OsReadings(systemClock)
  expect(readings.task(pid)).not.toEqual([])
  const [child] = children.splice(0)
  const gone = once(child!, 'exit')
  child?.kill('SIGKILL')
  await gone
  expect(readings.task(pid)).toEqual([])
  expect(readings.cpuUs(pid)).toBeUndefined()
})

/** Makes a group under a hierarchy; undefined where that is not allowed. */
function group(hierarchy: string): string | undefined {
  const directory = `${hierarchy}/sai-readings-${process.pid}`
  try {
    mkdirSync(directory)
    directories.push(directory)
    return directory
  } catch {
    return undefined
  }
}

it.each([
  ['cgroup-v1', '/sys/fs/cgroup/cpuacct', 'cpuacct.usage'],
  ['cgroup-v2', '/sys/fs/cgroup/unified', 'cpu.stat'],
  ['cgroup-v2', '/sys/fs/cgroup', 'cpu.stat'],
])('reads a group of its own: %s at %s', async (source, hierarchy, file) => {
  const usable = existsSync(`${hierarchy}/${file}`) && existsSync(`${hierarchy}/cgroup.procs`)
  const directory = usable ? group(hierarchy) : undefined
  if (directory === undefined) {
    console.log(`left out: no groups can be made at ${hierarchy}`)
    return
  }
  const pid = await burning()
  writeFileSync(`${directory}/cgroup.procs`, String(pid))
  const readings = new OsReadings(systemClock)
  const first = await until(readings, pid, (one) => one.source === source && (one.cpuUs ?? 0) > 0)
  const quick = readings.cpuUs(pid) ?? 0
  expect(quick).toBeGreaterThanOrEqual(first.cpuUs ?? 0)
  // What the group tells, the processes do not tell again.
  const others = readings.task(pid).filter((one) => one.source !== source)
  expect(others.map(({ cpuUs }) => cpuUs)).toEqual(others.map(() => undefined))
  expect(others.some(({ memoryUsedMib = 0 }) => memoryUsedMib > 0)).toBe(true)
  const [child] = children.splice(0)
  const gone = once(child!, 'exit')
  child?.kill('SIGKILL')
  await gone
})
