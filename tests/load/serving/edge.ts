import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Job } from '@serverless-ai/contracts/job/v1/job'
import { prepareQueue } from '../../e2e/node-faults.ts'
import { requestId, submit, untilJob } from '../../support/digits.ts'
import { type Clients, Platform, type PlatformInit } from '../../support/platform.ts'
import type { Answer, Kind } from '../gateway/open-loop.ts'

/** Tenant that owns what is served. */
export const OWNER = 'team-a'
const READY_MS = 120_000

/** A platform with its edge, and callers of services. */
export class Edge {
  readonly platform: Platform
  /** More would only fill the queue of connections that the system keeps, and be reset by it. */
  readonly agent = new Agent({ keepAlive: true, maxSockets: 512 })
  readonly #directory: string
  readonly #tokens: Readonly<Record<string, string>>

  private constructor(
    platform: Platform,
    of: { readonly directory: string; readonly tokens: Readonly<Record<string, string>> },
  ) {
    this.platform = platform
    this.#directory = of.directory
    this.#tokens = of.tokens
  }

  /** @param init `tenants`: more of them; `edge`: settings of the gateway */
  static async start(
    init: PlatformInit & { readonly tenants?: readonly string[]; readonly edge?: object },
  ): Promise<Edge> {
    const { tenants = [], edge = {}, ...platformInit } = init
    const directory = mkdtempSync(join(tmpdir(), 'sai-serving-'))
    chmodSync(directory, 0o711)
    const token = (): string => randomBytes(24).toString('base64url')
    const tokens = Object.fromEntries([OWNER, ...tenants].map((name) => [name, token()]))
    const credentials = { service: token(), admin: token(), tenants: tokens, nodes: {} }
    writeFileSync(join(directory, 'tokens.json'), JSON.stringify(credentials), { mode: 0o600 })
    const config = join(directory, 'config.json')
    writeFileSync(config, JSON.stringify({ edge }))
    try {
      const args = ['--config', config, ...(platformInit.args ?? [])]
      const platform = await Platform.start({ ...platformInit, dataDir: directory, args })
      await prepareQueue(platform)
      return new Edge(platform, { directory, tokens })
    } catch (error) {
      rmSync(directory, { recursive: true, force: true })
      throw error
    }
  }

  /** Clients of the owner. */
  get team(): Clients {
    return this.platform.as(OWNER)
  }

  /** Where callers go. */
  get url(): string {
    return `http://127.0.0.1:${this.platform.port + 2}`
  }

  /** Headers of a caller. */
  headers(tenant = OWNER): Record<string, string> {
    return { authorization: `Bearer ${this.#tokens[tenant]}` }
  }

  /** A request to a service of the owner. */
  to(service: string, path: string, more: Partial<Kind> = {}): Kind {
    const url = `${this.url}/services/${OWNER}/${service}${path}`
    return { url, agent: this.agent, headers: this.headers(), reads: true, ...more }
  }

  submit(manifest: string): Promise<string> {
    return submit(this.team, manifest)
  }

  /** Waits until a job is as it is wanted. */
  until(jobId: string, what: string, test: (job: Job) => boolean): Promise<Job> {
    return untilJob(this.team, jobId, what, test, READY_MS)
  }

  /** So many replicas by a user's word, all of them ready and none on its way out. */
  async scale(jobId: string, wanted: number): Promise<void> {
    await this.team.jobs.scaleJob({ requestId: requestId(), jobId, wanted, automatic: false })
    await this.until(jobId, `${wanted} replicas are ready`, isScaled(wanted))
  }

  async close(): Promise<void> {
    this.agent.destroy()
    await this.platform.close()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

/** So many replicas are ready, and no other is there. */
export const isScaled =
  (count: number) =>
  ({ scale, replicas }: Job): boolean =>
    scale?.ready === count && scale.draining === 0 && replicas.length === count

/** Statuses and how often each came, for people. */
export function statusesOf(answers: readonly Answer[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

/** What became of requests that were lost, and of the first of them. */
export function lossesOf(lost: readonly Answer[]): string {
  const [first] = lost
  const about = `due at ${Math.round(first?.dueMs ?? 0)} ms: ${first?.body.slice(0, 200)}`
  return `${JSON.stringify(statusesOf(lost))}, the first ${about}`
}
