// The platform of infra/compose as a project of its own, from images that were made locally.
import { execFile, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePorts } from '../../support/ports.ts'
import { ROOT } from '../../support/root.ts'
import { until } from '../../support/until.ts'

const run = promisify(execFile)

const FOLDER = join(ROOT, 'infra/compose')
const IMAGES = ['control-plane:0.2.0', 'agent:0.2.0', 'kafka:local', 'prometheus:local']
const WORKLOAD = '/opt/serverless-ai/examples/workloads/digits'

const works = (...words: readonly [string, ...string[]]): boolean =>
  spawnSync(words[0], words.slice(1), { stdio: 'ignore' }).status === 0

/** `docker compose`, or the older program of its own. */
function composeWords(): readonly [string, ...string[]] | undefined {
  if (works('docker', 'compose', 'version')) return ['docker', 'compose']
  return works('docker-compose', 'version') ? ['docker-compose'] : undefined
}

/** Why the project cannot be started here, in one line; undefined when it can. */
export function composeProblem(): string | undefined {
  if (!works('docker', 'info')) return 'no container engine answers'
  if (composeWords() === undefined) return 'neither docker compose nor docker-compose is here'
  const missing = IMAGES.filter(
    (image) => !works('docker', 'image', 'inspect', `serverless-ai/${image}`),
  )
  if (missing.length === 0) return undefined
  const names = missing.map((image) => image.split(':')[0]).join(' ')
  return `images are missing: node tools/images.ts ${names}`
}

/** A job as `sai job get --json` tells it. */
export interface JobSeen {
  readonly state: string
  readonly generation: number
  readonly resultJson: string
}

/** A project that was started, and what can be done to it. */
export class ComposeProject {
  readonly #name = `sai-${randomBytes(3).toString('hex')}`
  /** Of Prometheus; the one behind it is the gateway's. */
  readonly #port: number
  readonly #words: readonly [string, ...string[]]

  private constructor(port: number, words: readonly [string, ...string[]]) {
    this.#port = port
    this.#words = words
  }

  static async up(): Promise<ComposeProject> {
    const words = composeWords()
    if (words === undefined) throw new Error('no docker compose')
    const project = new ComposeProject(await freePorts(2), words)
    try {
      await project.#compose(['up', '--detach'])
      return project
    } catch (error) {
      await project.down()
      throw error
    }
  }

  async #compose(words: readonly string[]): Promise<string> {
    const [file, ...first] = this.#words
    const how = ['--env-file', 'local.env', '--profile', 'local']
    const env = {
      ...process.env,
      COMPOSE_PROJECT_NAME: this.#name,
      SAI_PROMETHEUS_PORT: String(this.#port),
      SAI_EDGE_PORT: String(this.#port + 1),
    }
    const options = { cwd: FOLDER, env, maxBuffer: 64 * 1024 * 1024 }
    const { stdout } = await run(file, [...first, ...how, ...words], options)
    return stdout
  }

  /** Base of Prometheus' API. */
  get prometheus(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** Base of the platform's API for callers. */
  get edge(): string {
    return `http://127.0.0.1:${this.#port + 1}`
  }

  /** Tokens of users, as JSON. */
  tokens(): Promise<string> {
    const file = '/var/lib/serverless-ai/tokens.json'
    return this.#compose(['run', '--rm', '-T', '--entrypoint', 'cat', 'sai', file])
  }

  /** What `sai` answers in the network of the project. */
  sai(...words: readonly string[]): Promise<string> {
    return this.#compose(['run', '--rm', '-T', 'sai', ...words])
  }

  /** Submits the digits workload, on four devices; returns the job id. */
  submitDigits(name: string, stepDelayMs: number): Promise<string> {
    const command = ['node', 'dist/main.js', '--step-delay-ms', String(stepDelayMs)]
    return this.submit(name, { tasks: 4, command })
  }

  /** Submits a job of team-a, of tasks with a device each; returns its id. */
  async submit(
    name: string,
    job: { readonly tasks: number; readonly command: readonly string[] },
  ): Promise<string> {
    const resources = { devices: 1, cpu: '100m', memory: '128Mi' }
    const spec = { queue: 'team-a', ...job, resources, retry: { maxRestarts: 50 } }
    const manifest = { apiVersion: 'serverlessai.job/v1', kind: 'Job', metadata: { name }, spec }
    // The description goes in by the command line: the container has no file of ours.
    const script = `printf %s "$1" >/tmp/job.json
      exec sai job submit /tmp/job.json --workspace ${WORKLOAD} --json`
    const words = ['sh', 'sai', '-c', script, 'sh', JSON.stringify(manifest)]
    const submitted = await this.#compose(['run', '--rm', '-T', '--entrypoint', ...words])
    return JSON.parse(submitted).jobId
  }

  async job(jobId: string): Promise<JobSeen> {
    return JSON.parse(await this.sai('job', 'get', jobId, '--json'))
  }

  /** Names of the services that run all the time. */
  async running(): Promise<readonly string[]> {
    const ids = (await this.#compose(['ps', '--quiet'])).split('\n').filter((id) => id !== '')
    const label = '{{index .Config.Labels "com.docker.compose.service"}} {{.State.Running}}'
    const { stdout } = await run('docker', ['inspect', '--format', label, ...ids])
    const lines = stdout.trim().split('\n')
    return lines.filter((line) => line.endsWith(' true')).map((line) => line.split(' ')[0] ?? '')
  }

  async #inspect(service: string): Promise<{ pid: number; health: string }> {
    const id = (await this.#compose(['ps', '--quiet', service])).trim()
    const format = '{{.State.Pid}} {{if .State.Health}}{{.State.Health.Status}}{{end}}'
    const { stdout } = await run('docker', ['inspect', '--format', format, id])
    const [pid = '0', health = ''] = stdout.trim().split(' ')
    return { pid: Number(pid), health }
  }

  /**
   * SIGKILL to the first process of a container, and with it to all of it; resolves when the engine
   * has started it again and it is well. (`docker kill` would leave it dead.)
   */
  async kill(service: string): Promise<void> {
    const before = await this.#inspect(service)
    process.kill(before.pid, 'SIGKILL')
    await until(
      `${service} to be back`,
      async () => {
        const { pid, health } = await this.#inspect(service)
        return pid > 0 && pid !== before.pid && health !== 'unhealthy' && health !== 'starting'
          ? true
          : undefined
      },
      { timeoutMs: 180_000, everyMs: 500 },
    )
  }

  /** What the newest lines of all containers are, for messages. */
  logs(): Promise<string> {
    return this.#compose(['logs', '--tail', '20'])
  }

  /** Ends it and forgets its data. */
  async down(): Promise<void> {
    await this.#compose(['down', '--volumes', '--timeout', '5', '--remove-orphans'])
  }
}
