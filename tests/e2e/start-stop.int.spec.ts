import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Job_State } from '@serverless-ai/contracts/job/v1/job'
import { afterEach, expect, it } from 'vitest'
import { submit, untilJob } from '../support/digits.ts'
import { onKafka, patient } from '../support/environment.ts'
import { jobManifest } from '../support/manifest.ts'
import { Platform, type PlatformInit } from '../support/platform.ts'
import { isAlive } from '../support/process-tree.ts'
import { until } from '../support/until.ts'
import { prepareQueue } from './node-faults.ts'

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

async function started(init: PlatformInit): Promise<Platform> {
  const platform = await Platform.start(init)
  open.push(() => platform.close())
  return platform
}

/** A data directory that several platforms use one after the other. */
function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'sai-start-'))
  open.push(() => rmSync(path, { recursive: true, force: true }))
  return path
}

const isUp = (platform: Platform, nodeId: string): boolean => {
  try {
    return isAlive(platform.node(nodeId).supervisor)
  } catch {
    return false
  }
}

it('nothing is left behind by a closed terminal, nor by a health port that is taken', async () => {
  const platform = await started({ nodes: 1 })
  platform.child?.kill('SIGHUP')
  expect(await platform.exited()).toBe(0)
  expect(platform.leftovers()).toEqual([])
  const server: Server = createServer()
  open.push(() => server.close())
  await new Promise<void>((resolve) => server.listen(platform.port + 1, '127.0.0.1', resolve))
  platform.output = ''
  platform.spawn()
  expect(await platform.exited()).toBe(69)
  expect(platform.output).toContain(`127.0.0.1:${platform.port + 1}`)
  expect(platform.output).not.toContain('    at ')
  expect(platform.leftovers()).toEqual([])
})

it('a platform whose output nobody reads any more goes on, and ends in order', async () => {
  const platform = await started({ nodes: 1 })
  platform.child?.stdout?.destroy()
  platform.child?.stderr?.destroy()
  const { supervisor } = platform.node('n1')
  process.kill(supervisor, 'SIGKILL')
  const back = () => (platform.node('n1').supervisor !== supervisor ? true : undefined)
  await until('a supervisor again', back, { timeoutMs: patient(20_000) })
  platform.child?.kill('SIGTERM')
  expect(await platform.exited()).toBe(0)
  expect(platform.leftovers()).toEqual([])
})

it('Ctrl-C during the start ends what was started so far', async () => {
  const platform = await started({ nodes: 2 })
  await platform.interrupt()
  platform.output = ''
  platform.spawn()
  await until('a supervisor', () => (isUp(platform, 'n1') ? true : undefined), {
    timeoutMs: patient(20_000),
  })
  expect(await platform.interrupt()).toBeLessThan(onKafka() ? 25_000 : 5_000)
  expect(platform.output).not.toContain('ready in')
  expect(platform.leftovers()).toEqual([])
})

it('nodes that are not wanted any more are ended, at the latest by Ctrl-C', async () => {
  const dataDir = directory()
  const before = await started({ dataDir, nodes: 2 })
  await before.kill()
  expect(isUp(before, 'n2')).toBe(true)
  const after = await started({ dataDir, nodes: 1 })
  expect(isUp(after, 'n1')).toBe(true)
  await until('n2 to end', () => (isUp(after, 'n2') ? undefined : true), {
    timeoutMs: patient(10_000),
  })
  await after.interrupt()
  expect(after.leftovers()).toEqual([])
})

it('a data directory that was moved while its nodes ran works at its new place', async () => {
  const home = directory()
  const [from, to] = [join(home, 'a'), join(home, 'b')]
  const base = await started({ dataDir: mkdtempSync(`${from}-`), nodes: 2 })
  const old = base.dataDir
  await prepareQueue(base)
  await base.kill()
  renameSync(old, to)
  const moved = await started({ dataDir: to, nodes: 2 })
  const team = moved.as('team-a')
  const jobId = await submit(team, jobManifest('after-the-move', { tasks: 4 }))
  const done = (job: { state: Job_State }) => job.state === Job_State.SUCCEEDED
  await untilJob(team, jobId, 'succeeds', done, patient(20_000))
  expect(existsSync(old)).toBe(false)
  await moved.interrupt()
  expect(moved.leftovers()).toEqual([])
})
