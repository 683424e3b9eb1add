import { setTimeout as sleep } from 'node:timers/promises'
import { Job_State, JobServiceService } from '@serverless-ai/contracts/job/v1/job'
import { type ClientOf, RpcError, type Transport } from '@serverless-ai/kernel'
import { systemClock, systemRandomness, systemTimers } from '@serverless-ai/kernel/system'
import { createGrpcTransport, followLeader } from '@serverless-ai/rpc'
import { requestId } from '../support/digits.ts'
import { isFinal } from '../support/final.ts'
import { jobManifest } from '../support/manifest.ts'
import { Dice } from '../support/random.ts'
import type { Command, History, Operation } from './operations.ts'

/** What a load generator is made with. */
export interface LoadInit {
  /** Addresses of the mediator's replicas, comma-separated. */
  readonly address: string
  /** Token of a tenant that owns `queue`. */
  readonly token: string
  readonly queue: string
  readonly users: number
  readonly seed: number
  /** Longest pause of a user between two calls, ms. */
  readonly pauseMs: number
}

/** Some users wait long enough for a leader that was paused, others go to its successor. */
const CALL_TIMEOUTS_MS = [3_000, 10_000] as const
const AGAIN_MS = 50

/** A job for devices that nobody has: it waits until it is cancelled. */
const manifestOf = (name: string, queue: string): string =>
  jobManifest(name, {
    queue,
    resources: { devices: 64, cpu: '100m', memory: '64Mi' },
    waitForCapacity: true,
  })

/** Somebody who calls, and how long he waits for an answer. */
interface User {
  readonly name: string
  readonly timeoutMs: number
}

type Outcome = Pick<Command, 'jobId' | 'outcome' | 'reason' | 'position'>

/**
 * Users that submit, read and cancel jobs for as long as they are let, by the published retry rules
 * and, where those end, again under the same request id; everything they are answered is kept.
 */
export class LoadGenerator {
  readonly #init: LoadInit
  readonly #below: Transport = createGrpcTransport({ clock: systemClock })
  readonly #jobs: ClientOf<typeof JobServiceService>
  readonly #history: Operation[] = []
  #stopping = false
  #abandoned = false
  #running: Promise<unknown> = Promise.resolve()
  /** Calls that failed and were made again, by what the client was told last. */
  readonly repeated = new Map<string, number>()

  constructor(init: LoadInit) {
    this.#init = init
    const ports = { clock: systemClock, timers: systemTimers, randomness: systemRandomness }
    const transport = followLeader(this.#below, ports)
    this.#jobs = transport.client(JobServiceService, { address: init.address, token: init.token })
  }

  get history(): History {
    return this.#history
  }

  /** Accepted commands so far. */
  get accepted(): number {
    return this.#history.filter((one) => one.kind !== 'read' && one.outcome === 'accepted').length
  }

  start(): void {
    const { users, seed } = this.#init
    const all = Array.from({ length: users }, (_, n) => this.#user(n, new Dice(seed + n)))
    this.#running = Promise.all(all)
  }

  /**
   * Users end what they are at, and begin nothing new. What is not answered within `patienceMs`
   * stays unknown.
   */
  async stop(patienceMs: number): Promise<void> {
    this.#stopping = true
    const impatient = setTimeout(() => {
      this.#abandoned = true
    }, patienceMs)
    await this.#running
    clearTimeout(impatient)
    await this.#below.close()
  }

  async #user(index: number, dice: Dice): Promise<void> {
    const user = { name: `u${index}`, timeoutMs: CALL_TIMEOUTS_MS[index % 2]! }
    const { timeoutMs } = user
    for (let number = 0; !this.#stopping; number += 1) {
      const name = `${user.name}-${number}`
      const submitted = await this.#command(user, 'submit', (id) =>
        this.#submit(id, name, timeoutMs),
      )
      await this.#pause(dice)
      if (submitted.outcome !== 'accepted') continue
      const { jobId, position } = submitted
      await this.#read(user, jobId, position)
      if (dice.float() < 0.3) await this.#read(user, jobId, '')
      await this.#pause(dice)
      const cancelled = await this.#command(user, 'cancel', (id) =>
        this.#cancel(id, jobId, timeoutMs),
      )
      if (cancelled.outcome === 'accepted') await this.#read(user, jobId, cancelled.position)
      await this.#pause(dice)
    }
  }

  #pause(dice: Dice): Promise<void> {
    return sleep(dice.float() * this.#init.pauseMs)
  }

  async #submit(id: string, name: string, timeoutMs: number): Promise<Outcome> {
    const { job, position } = await this.#jobs.submitJob(
      {
        requestId: id,
        manifest: manifestOf(name, this.#init.queue),
        fileName: `${name}.yaml`,
        tenant: '',
        validateOnly: false,
      },
      { timeoutMs },
    )
    return { jobId: job?.jobId ?? '', outcome: 'accepted', reason: '', position }
  }

  async #cancel(id: string, jobId: string, timeoutMs: number): Promise<Outcome> {
    const request = { requestId: id, jobId }
    const { position } = await this.#jobs.cancelJob(request, { timeoutMs })
    return { jobId, outcome: 'accepted', reason: '', position }
  }

  /** Carries out a command, under one request id, until an answer settles it. */
  async #command(
    { name: user }: User,
    kind: Command['kind'],
    call: (requestId: string) => Promise<Outcome>,
  ): Promise<Command> {
    const id = requestId()
    const invokedMs = performance.timeOrigin + performance.now()
    const outcome = await this.#settled(() => call(id))
    const returnedMs = performance.timeOrigin + performance.now()
    const command: Command = { kind, user, requestId: id, invokedMs, returnedMs, ...outcome }
    this.#history.push(command)
    return command
  }

  async #settled(call: () => Promise<Outcome>): Promise<Outcome> {
    while (!this.#abandoned) {
      try {
        return await call()
      } catch (error) {
        if (isFinal(error)) {
          return { jobId: '', outcome: 'refused', reason: error.reason, position: '' }
        }
        this.#note(error)
        await sleep(AGAIN_MS)
      }
    }
    return { jobId: '', outcome: 'unknown', reason: '', position: '' }
  }

  /** A read that fails is made again once, then let be: it has changed nothing. */
  async #read({ name: user, timeoutMs }: User, jobId: string, minPosition: string): Promise<void> {
    const invokedMs = performance.timeOrigin + performance.now()
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      try {
        const answer = await this.#jobs.getJob({ jobId, minPosition }, { timeoutMs })
        const { job, position } = answer
        const state = job === undefined ? '' : nameOf(job.state)
        this.#keepRead({ user, jobId, minPosition, invokedMs }, { found: true, state, position })
        return
      } catch (error) {
        if (error instanceof RpcError && error.code === 'NOT_FOUND') {
          const none = { found: false, state: '', position: '' }
          this.#keepRead({ user, jobId, minPosition, invokedMs }, none)
          return
        }
        this.#note(error)
      }
    }
  }

  #keepRead(
    asked: { user: string; jobId: string; minPosition: string; invokedMs: number },
    got: { found: boolean; state: string; position: string },
  ): void {
    const returnedMs = performance.timeOrigin + performance.now()
    this.#history.push({ kind: 'read', ...asked, ...got, returnedMs })
  }

  #note(error: unknown): void {
    const what = error instanceof RpcError ? `${error.code} ${error.reason}` : String(error)
    this.repeated.set(what, (this.repeated.get(what) ?? 0) + 1)
  }
}

/** `STATE_QUEUED` → `QUEUED`. */
function nameOf(state: Job_State): string {
  const found = Object.entries(Job_State).find(([, value]) => value === state)
  return (found?.[0] ?? String(state)).replace(/^STATE_/, '')
}
