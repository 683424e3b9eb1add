import { rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { assignment, buildPackage, lives, processOf, script, taskKey } from './testing/harness.ts'
import { CAUSE, TestNode } from './testing/harness-node.ts'

let node: TestNode

beforeAll(buildPackage)
beforeEach(async () => {
  node = await TestNode.create()
})
afterEach(() => node.dispose())

it('says hello with its inventory and runs a task to its end', async () => {
  await node.start()
  const hello = await node.pool.until('hello', () => node.pool.hellos[0])
  expect(hello).toMatchObject({ nodeId: 'n1', protocol: 1 })
  const models = hello.inventory?.devices.map((device) => device.model)
  expect(models).toEqual(['emulated/A100', 'emulated/A100'])
  node.pool.want([assignment(script('console.log("hello"); process.exitCode = 3'))])
  const exit = await node.exited()
  expect(exit).toMatchObject({ cause: CAUSE.EXITED, exitCode: 3, signal: '' })
  expect(await node.log()).toBe('hello\n')
})

it('gives a task a small clean environment, its own directory and its devices', async () => {
  await node.start()
  const program = `
    const fs = require('node:fs')
    console.log(JSON.stringify({ env: process.env, cwd: process.cwd(), uid: process.getuid(),
      mode: fs.statSync(process.env.HOME).mode & 0o777,
      checkpoints: fs.statSync(process.env.SAI_CHECKPOINT_DIR).mode & 0o777 }))`
  const env = { RANK: '0', SAI_EXECUTION: 'not the marker' }
  node.pool.want([assignment(script(program), { env, deviceIndexes: [1] })])
  await node.exited()
  const seen = JSON.parse(await node.log())
  const { SAI_TASK_DIR: home, SAI_EXECUTION: marker, PATH: path, ...rest } = seen.env
  expect(seen.cwd).toBe(`${home}/work`)
  expect(rest).toEqual({
    RANK: '0',
    HOME: home,
    PWD: `${home}/work`,
    TMPDIR: `${home}/tmp`,
    LANG: 'C.UTF-8',
    PYTHONUNBUFFERED: '1',
    SAI_CHECKPOINT_DIR: `${node.dataDir}/work/checkpoints/j-0-test`,
    SAI_REPORT: `${home}/report.jsonl`,
    SAI_NOTICE: `${home}/notice.json`,
    SAI_NODE_ID: 'n1',
    SAI_VISIBLE_DEVICES: '1',
    SAI_DEVICE_MODEL: 'emulated/A100',
    SAI_DEVICES_EMULATED: '1',
  })
  expect(marker).toMatch(/^[0-9a-f]{16}:[0-9a-f]{16}:j-0-test\/0\/1\/0$/)
  expect(path).toContain('/usr/bin')
  expect([seen.mode, seen.checkpoints]).toEqual([0o700, 0o700])
  if (process.getuid?.() === 0) {
    expect(seen.uid).toBeGreaterThanOrEqual(200_000)
    expect(seen.uid).toBeLessThan(210_000)
  }
})

it('binds what holds emulated devices to the CPU that stands for them', async () => {
  const emulated = [{ count: 2, model: 'A100', memoryMib: 40_960, cpuMillis: 100 }]
  try {
    await node.start({ emulated })
  } catch (error) {
    // Nothing here may bind anything: the node says so instead of letting tasks run free.
    expect(String(error)).toContain('EMULATED_CPU_UNBOUND')
    return
  }
  const program = `
    const begin = process.cpuUsage()
    const endMs = Date.now() + 1500
    while (Date.now() < endMs);
    const { user, system } = process.cpuUsage(begin)
    console.log((user + system) / 1500)`
  node.pool.want([assignment(script(program), { deviceIndexes: [0, 1] })])
  await node.exited()
  // Thousandths of a core; a busy machine may give less.
  const used = Number(await node.log())
  expect(used).toBeGreaterThan(20)
  expect(used).toBeLessThan(280)
})

it('gives two tenants different users, and one tenant the same user again', async () => {
  await node.start()
  const keyOf = (job: string) => ({ ...taskKey(), jobId: job })
  const task = (job: string, tenant: string) =>
    assignment(script('console.log(process.getuid())'), { key: keyOf(job), tenant })
  node.pool.want([task('j-1', 'team-a'), task('j-2', 'team-b'), task('j-3', 'team-a')])
  const uids: string[] = []
  for (const job of ['j-1', 'j-2', 'j-3']) {
    await node.exited(keyOf(job))
    uids.push(await node.log(keyOf(job)))
  }
  expect(uids[0]).toBe(uids[2])
  if (process.getuid?.() === 0) expect(uids[0]).not.toBe(uids[1])
})

it('keeps the order of standard output and error, and /dev/stdout can be opened', async () => {
  await node.start()
  const text = 'echo a; echo b >&2; echo c > /dev/stdout; echo d > /dev/stderr; echo e'
  node.pool.want([assignment(['sh', '-c', text])])
  await node.exited()
  expect(await node.log()).toBe('a\nb\nc\nd\ne\n')
})

it('kills a process that ignores SIGTERM when its grace is over', async () => {
  await node.start()
  const program = 'process.on("SIGTERM", () => console.log("no")); setInterval(() => {}, 1000)'
  const text = `console.log("up"); ${program}`
  node.pool.want([assignment(script(text), { stopGraceMs: 400n })])
  const { pid } = await node.running()
  const id = node.pool.askLog(taskKey(), { follow: true })
  await node.pool.until('it listens', () => node.pool.logs.get(id)?.text.includes('up'))
  const process = processOf(pid)
  node.pool.want([])
  const exit = await node.exited()
  expect(exit).toMatchObject({ cause: CAUSE.STOPPED, exitCode: -1, signal: 'SIGKILL' })
  expect(lives(process)).toBe(false)
  expect(await node.log()).toBe('up\nno\n')
})

it('ends a followed log with the task', async () => {
  await node.start()
  const text = 'for (let i = 0; i < 5; i++) setTimeout(() => console.log(i), i * 200)'
  node.pool.want([assignment(script(text))])
  await node.running()
  expect(await node.log(taskKey(), { follow: true })).toBe('0\n1\n2\n3\n4\n')
})

it('keeps two files of 1 GB of output and hands out the last lines', async () => {
  await node.start()
  const text = `
    const chunk = Buffer.from(('x'.repeat(127) + '\\n').repeat(512))
    const fs = require('node:fs')
    for (let i = 0; i < 16384; i++) fs.writeSync(1, chunk)
    fs.writeSync(1, 'the end\\n')`
  node.pool.want([assignment(script(text), { logMaxBytes: 1_000_000n })])
  expect(await node.exited(taskKey(), 90_000)).toMatchObject({ cause: CAUSE.EXITED, exitCode: 0 })
  const log = await node.log()
  expect(log.length).toBeGreaterThan(1_000_000)
  expect(log.length).toBeLessThanOrEqual(2_000_000)
  expect(await node.log(taskKey(), { tailLines: 2 })).toBe(`${'x'.repeat(127)}\nthe end\n`)
}, 120_000)

it('names the command and the PATH when a command is missing', async () => {
  await node.start()
  node.pool.want([assignment(['no-such-program', '--x'])])
  const exit = await node.exited()
  expect(exit).toMatchObject({ cause: CAUSE.START_FAILED, exitCode: -1 })
  expect(exit.message).toMatch(/^command no-such-program was not found; PATH is \/.*:\/usr\/bin/)
})

it('does not start a task whose port is taken', async () => {
  await node.start()
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  node.pool.want([assignment(script('console.log("ran")'), { ports: [port] })])
  const exit = await node.exited()
  expect(exit.cause).toBe(CAUSE.PORT_IN_USE)
  expect(exit.message).toContain(String(port))
  server.close()
})

it('reports every line before the end, and a note for one that is too long', async () => {
  await node.start()
  const text = `
    const fs = require('node:fs')
    const say = (line) => fs.appendFileSync(process.env.SAI_REPORT, line)
    say('{"kind":"progress","step":1}\\n')
    say('{"kind":"x","text":"' + 'y'.repeat(300_000) + '"}\\n')
    const pad = 'z'.repeat(80)
    for (let i = 0; i < 3000; i++) say('{"kind":"progress","step":2,"pad":"' + pad + '"}\\n')
    say('{"kind":"result"}')`
  node.pool.want([assignment(script(text))])
  await node.exited()
  const lines = node.pool.lines.map(({ json }) => json)
  expect(lines).toHaveLength(3003)
  expect(lines[0]).toBe('{"kind":"progress","step":1}')
  expect(JSON.parse(lines[1] ?? '')).toMatchObject({ kind: 'note' })
  expect(lines.at(-1)).toBe('{"kind":"result"}')
  expect(node.pool.lines.map(({ line }) => Number(line))).toEqual(lines.map((_, i) => i + 1))
})

it('tells the writer of a report line that is not used, in its own log', async () => {
  await node.start()
  const text = `
    const fs = require('node:fs')
    const say = (line) => fs.appendFileSync(process.env.SAI_REPORT, line)
    say('{"kind":"progress","step":1}\\n{"checkpoint":"/c/1"}\\n')
    say('{"kind":"checkpoint","step":1}\\nstep 3\\n')
    const own = process.env.SAI_CHECKPOINT_DIR
    const checkpoint = (step, path) =>
      say(JSON.stringify({ kind: 'checkpoint', step, path }) + '\\n')
    checkpoint(-1, own + '/1')
    checkpoint(1, own + '/../another-job/1')
    checkpoint(2, own + '/gen-1/2')`
  node.pool.want([assignment(script(text))])
  await node.exited()
  const checkpoints = node.pool.lines.filter(({ json }) => json.includes('"kind":"checkpoint"'))
  expect(checkpoints.map(({ line, json }) => [Number(line), JSON.parse(json).path])).toEqual([
    [7, 'j-0-test/gen-1/2'],
  ])
  expect((await node.log()).split('\n')).toEqual([
    '[serverless-ai: line 2 of SAI_REPORT is not used: ' +
      'it needs "kind": "progress", "checkpoint" or "result"]',
    '[serverless-ai: line 3 of SAI_REPORT is not used: ' +
      'a checkpoint needs "path": its absolute path]',
    '[serverless-ai: line 4 of SAI_REPORT is not used: it is not JSON]',
    '[serverless-ai: line 5 of SAI_REPORT is not used: ' +
      'a checkpoint needs "step": a whole number from 0]',
    '[serverless-ai: line 6 of SAI_REPORT is not used: ' +
      'the "path" of a checkpoint must lie inside SAI_CHECKPOINT_DIR]',
    '',
  ])
})

it('kills what a task left behind, also in a session of its own', async () => {
  await node.start()
  const text = `
    const { spawn } = require('node:child_process')
    const child = spawn('sleep', ['1000'], { detached: true, stdio: 'inherit' })
    child.unref()
    console.log(child.pid)`
  node.pool.want([assignment(script(text))])
  expect(await node.exited()).toMatchObject({ cause: CAUSE.EXITED, exitCode: 0 })
  const pid = Number(await node.log())
  expect(pid).toBeGreaterThan(1)
  expect(lives(processOf(pid))).toBe(false)
})

it('is told apart by signal when somebody else kills a task', async () => {
  await node.start()
  node.pool.want([assignment(['sleep', '1000'])])
  const { pid } = await node.running()
  process.kill(pid, 'SIGKILL')
  const exit = await node.exited()
  expect(exit).toMatchObject({ cause: CAUSE.EXITED, exitCode: -1, signal: 'SIGKILL' })
})

it('forgets what the pool manager has recorded, and its log can still be read', async () => {
  await node.start()
  node.pool.want([assignment(script('console.log("kept")'))])
  await node.exited()
  node.pool.want([], [taskKey()])
  await node.pool.until('forgotten', () => node.pool.reports.at(-1)?.executions.length === 0)
  expect(await node.log()).toBe('kept\n')
})

it('makes a checkpoint directory that is gone again, and says so when it cannot', async () => {
  await node.start()
  const checkpoints = join(node.dataDir, 'work', 'checkpoints')
  rmSync(checkpoints, { recursive: true, force: true })
  const text = 'require("node:fs").writeFileSync(process.env.SAI_CHECKPOINT_DIR + "/c", "x")'
  node.pool.want([assignment(script(text))])
  expect(await node.exited()).toMatchObject({ cause: CAUSE.EXITED, exitCode: 0 })
  rmSync(checkpoints, { recursive: true })
  writeFileSync(checkpoints, 'a file in the way')
  node.pool.want([assignment(script(text), { key: taskKey(2) })])
  const exit = await node.exited(taskKey(2))
  expect(exit.cause).toBe(CAUSE.PREPARE_FAILED)
  expect(exit.message).toContain(checkpoints)
})
