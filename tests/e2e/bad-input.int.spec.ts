import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Reason_Code } from '@serverless-ai/contracts/common/v1/common'
import { type Job, Job_State } from '@serverless-ai/contracts/job/v1/job'
import { Incident_Blame } from '@serverless-ai/contracts/recovery/v1/recovery'
import { RpcError } from '@serverless-ai/kernel'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { requestId, submit, untilJob } from '../support/digits.ts'
import { onKafka } from '../support/environment.ts'
import { jobManifest as job } from '../support/manifest.ts'
import { type Clients, Platform } from '../support/platform.ts'
import { ROOT } from '../support/root.ts'
import { prepareQueue, signal } from './node-faults.ts'

const MAIN = join(ROOT, 'apps/all-in-one/dist/main.js')

let platform: Platform
let team: Clients

beforeAll(async () => {
  platform = await Platform.start({ nodes: 3, devicesPerNode: 2 })
  await prepareQueue(platform)
  team = platform.as('team-a')
}, 200_000)
afterAll(() => platform.close())

async function refusal(call: Promise<unknown>): Promise<RpcError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof RpcError) return error
  throw new Error(`not refused: ${String(error)}`)
}

describe('a description that cannot be taken is refused with place and mend', () => {
  const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghij'
    .split('')
    .map((name, index) => {
      const before = 'abcdefghi'[index]
      return `${name}: &${name} [${Array(9).fill(`*${before}`).join(',')}]`
    })
    .join('\n')}\n`
  const cases: readonly [what: string, manifest: () => string, says: RegExp][] = [
    ['an unknown field', () => job('x', { task: 4 }), /tasks/],
    ['a mistyped value', () => job('x', { tasks: 'four' }), /tasks/],
    ['a wrong unit', () => job('x', { resources: { memory: '512MB' } }), /Mi/],
    ['a negative number', () => job('x', { tasks: -1 }), /tasks/],
    ['a huge number', () => job('x', { tasks: 1e12 }), /16384|16,384/],
    ['a YAML bomb', () => bomb, /alias/i],
    ['a file above 1 MiB', () => `${job('x', {})}# ${'x'.repeat(1024 * 1024)}`, /1 MiB|1048576/],
  ]
  for (const [what, manifest, says] of cases) {
    it(what, async () => {
      const error = await refusal(submit(team, manifest()))
      expect(error.code).toBe('INVALID_ARGUMENT')
      const text = [error.message, ...error.violations.map((v) => `${v.field} ${v.description}`)]
      expect(text.join('\n')).toMatch(says)
    })
  }

  it('names line and column', async () => {
    const error = await refusal(submit(team, job('x', { tasks: 'four' })))
    expect(error.violations.map((one) => one.field).join()).toMatch(/line \d+, column \d+/)
  })
})

describe('what cannot run is refused at once', () => {
  it('an unknown queue', async () => {
    const error = await refusal(submit(team, job('x', { queue: 'nobody' })))
    expect([error.code, error.reason]).toEqual(['NOT_FOUND', 'UNKNOWN_QUEUE'])
  })

  it('a gang larger than the fleet, with the nearest miss; it waits when told to', async () => {
    const error = await refusal(submit(team, job('x', { tasks: 7 })))
    expect(error.reason).toBe('NO_MATCHING_NODE')
    expect(JSON.stringify(error.metadata)).toContain('6')
    const jobId = await submit(team, job('patient', { tasks: 7, waitForCapacity: true }))
    const has = (job: Job) => job.reason !== undefined
    const waiting = await untilJob(team, jobId, 'has a reason to wait', has, 5_000)
    expect(waiting.state).toBe(Job_State.QUEUED)
    expect(waiting.reason?.code).not.toBe(Reason_Code.UNSPECIFIED)
    await team.jobs.cancelJob({ requestId: requestId(), jobId })
  })
})

describe('request ids', () => {
  it('the same again gets the first answer, another body is refused', async () => {
    const id = requestId()
    const jobId = await submit(team, job('once', {}), id)
    expect(await submit(team, job('once', {}), id)).toBe(jobId)
    const error = await refusal(submit(team, job('twice', {}), id))
    expect(error.reason).toBe('REQUEST_ID_REUSED')
  })

  it('an expired deadline loses nothing', async () => {
    const id = requestId()
    const request = {
      requestId: id,
      manifest: job('late', {}),
      fileName: '',
      tenant: '',
      validateOnly: false,
    }
    const error = await refusal(team.jobs.submitJob(request, { timeoutMs: 1 }))
    expect(error.code).toBe('DEADLINE_EXCEEDED')
    const { job: taken } = await team.jobs.submitJob({ ...request, fileName: '' })
    await untilJob(
      team,
      taken?.jobId ?? '',
      'ends',
      (now) => now.state === Job_State.SUCCEEDED,
      20_000,
    )
  })
})

describe('tenants', () => {
  it('another tenant’s job is not there', async () => {
    const jobId = await submit(team, job('private', { command: ['sleep', '600'] }))
    const other = platform.as('team-b')
    const calls = [
      () => other.jobs.getJob({ jobId, minPosition: '' }),
      () => other.jobs.cancelJob({ requestId: requestId(), jobId }),
      () => other.jobs.explainJob({ jobId, atPosition: '' }),
      () => other.pool.listExecutions({ jobId, minPosition: '' }),
    ]
    for (const call of calls) expect((await refusal(call())).code).toBe('NOT_FOUND')
    const { jobs } = await other.jobs.listJobs({
      pageSize: 0,
      pageToken: '',
      minPosition: '',
      states: [],
      queue: '',
    })
    expect(jobs).toEqual([])
    const queue = await refusal(submit(other, job('intruder', {})))
    expect(queue.reason).toBe('UNKNOWN_QUEUE')
    await team.jobs.cancelJob({ requestId: requestId(), jobId })
  })
})

describe('tasks that misbehave', () => {
  it('a missing command fails the job and names it', async () => {
    const jobId = await submit(team, job('missing', { command: ['no-such-program'] }))
    const failed = await untilJob(
      team,
      jobId,
      'fails',
      (now) => now.state === Job_State.FAILED,
      20_000,
    )
    expect(failed.message).toContain('no-such-program')
  })

  it('a process that ignores SIGTERM is gone after the grace', async () => {
    const command = ['sh', '-c', 'trap "" TERM; while true; do sleep 0.1; done']
    const jobId = await submit(team, job('stubborn', { command, stopGracePeriod: '500ms' }))
    await untilJob(team, jobId, 'runs', (now) => now.state === Job_State.RUNNING, 20_000)
    await team.jobs.cancelJob({ requestId: requestId(), jobId })
    await untilJob(team, jobId, 'is cancelled', (now) => now.state === Job_State.CANCELLED, 10_000)
    await expect.poll(() => platform.tasks(jobId).length, { timeout: 10_000 }).toBe(0)
  })

  it('a port that is taken leads to the next generation without blame', async () => {
    const taken = Array.from({ length: 3 }, (_, node) => platform.taskPortFirst + node * 100)
    const held: Server[] = []
    // Ports rotate: the next ones of each node are held.
    for (const first of taken) {
      for (let port = first; port < first + 100; port += 2) {
        const server = createServer()
        await new Promise<void>((resolve) =>
          server
            .once('listening', resolve)
            .once('error', () => resolve())
            .listen(port, '127.0.0.1'),
        )
        held.push(server)
      }
    }
    try {
      const ids: string[] = []
      for (const name of ['port-a', 'port-b', 'port-c']) ids.push(await submit(team, job(name, {})))
      const ended: number[] = []
      for (const jobId of ids) {
        const one = await untilJob(
          team,
          jobId,
          'ends',
          (now) => now.state === Job_State.SUCCEEDED,
          60_000,
        )
        ended.push(one.generation)
        const { incidents } = await team.recovery.listIncidents({
          jobId,
          pageSize: 9,
          pageToken: '',
        })
        for (const incident of incidents) {
          expect(incident).toMatchObject({ blame: Incident_Blame.PLANNED, charged: false })
        }
      }
      expect(Math.max(...ended)).toBeGreaterThan(1)
    } finally {
      for (const server of held) server.close()
    }
  })

  it('a checkpoint directory that is gone at the resume fails the job', async () => {
    const script = [
      'if [ "$SAI_GENERATION" = 1 ]; then',
      '  f="$SAI_CHECKPOINT_DIR/step-1.ckpt"; echo x > "$f"',
      `  echo '{"kind":"checkpoint","step":1,"path":"'"$f"'"}' >> "$SAI_REPORT"; sleep 600`,
      'fi',
      '[ -e "$SAI_RESUME_FROM" ] || { echo "no checkpoint $SAI_RESUME_FROM" >&2; exit 66; }',
    ].join('\n')
    const jobId = await submit(team, job('nowhere', { command: ['sh', '-c', script] }))
    const saved = await untilJob(
      team,
      jobId,
      'has a checkpoint',
      (now) => now.checkpoint !== undefined,
      20_000,
    )
    const path = saved.checkpoint?.path ?? ''
    expect(path).toBe(`${jobId}/step-1.ckpt`)
    rmSync(join(platform.dataDir, 'work/checkpoints', dirname(path)), { recursive: true })
    const pids = platform.tasks(jobId).map(({ pid }) => pid)
    signal(pids, 'SIGKILL')
    const failed = await untilJob(
      team,
      jobId,
      'fails',
      (now) => now.state === Job_State.FAILED,
      30_000,
    )
    expect(failed.message).toMatch(/code 66/)
    expect(failed.generation).toBe(2)
  })
})

describe('a start that cannot be', () => {
  const start = (dataDir: string, port: number) =>
    spawnSync(
      process.execPath,
      [MAIN, '--data', dataDir, '--port', String(port), '--no-quickstart', ...platform.logArgs()],
      {
        encoding: 'utf8',
        timeout: 60_000,
      },
    )

  it('a second platform on one data directory', () => {
    const { status, stderr } = start(platform.dataDir, platform.port + 1_000)
    expect(status).toBe(69)
    expect(stderr).toContain(platform.dataDir)
  })

  it('a data directory that cannot be made', () => {
    const { status, stderr } = start('/dev/null/data', platform.port + 1_000)
    expect(status).toBe(69)
    expect(stderr).toContain('/dev/null/data')
    expect(stderr).toContain('--data')
  })

  it('a port in use', () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'sai-bad-'))
    const { status, stderr } = start(dataDir, platform.port)
    rmSync(dataDir, { recursive: true, force: true })
    expect(status).toBe(69)
    expect(stderr).toContain(String(platform.port))
  })

  it('an address beyond the loopback', () => {
    const args = [
      MAIN,
      '--host',
      '0.0.0.0',
      '--data',
      join(tmpdir(), 'sai-never'),
      '--port',
      '7999',
      ...platform.logArgs(),
    ]
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    rmSync(join(tmpdir(), 'sai-never'), { recursive: true, force: true })
    expect(status).toBe(69)
    expect(stderr).toContain('--insecure-dev')
  })

  // They are about the embedded log: on Kafka they are no tests, rather than left out.
  if (!onKafka()) {
    it('replicas without Kafka', () => {
      const args = [MAIN, '--data', join(tmpdir(), 'sai-never'), '--replicas', '2']
      const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
      expect(status).toBe(69)
      expect(stderr).toMatch(/REPLICAS_NEED_KAFKA: .*--kafka HOST:PORT/)
    })

    it('a damaged database: named, and left as it is', () => {
      const dataDir = mkdtempSync(join(tmpdir(), 'sai-bad-'))
      execFileSync('mkdir', ['-p', join(dataDir, 'log')])
      const file = join(dataDir, 'log', 'log.db')
      writeFileSync(file, 'this is no database, it only has the name of one\n'.repeat(200))
      const { status, stderr } = start(dataDir, platform.port + 1_000)
      expect(status).toBe(69)
      expect(stderr).toContain(file)
      expect(existsSync(file)).toBe(true)
      rmSync(dataDir, { recursive: true, force: true })
    })
  }
})
