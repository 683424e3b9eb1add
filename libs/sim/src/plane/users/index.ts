/** Users of the simulated world: tenants with jobs, and an operator who makes their queues. */
import { RpcError } from '@serverless-ai/kernel'
import type { SeededRandomness } from '@serverless-ai/kernel/testing'
import type { Observation } from '../../check/types.ts'
import type { Scenario } from '../../scenarios/types.ts'
import type { ProcessContext, Running, World } from '../../world/types.ts'
import { type ControlPlane, TENANTS, TOKENS } from '../control-plane.ts'
import { UserCalls } from './calls.ts'
import { JobOwner } from './job-owner.ts'
import { insist } from './patience.ts'
import { type JobPlan, jobPlans, type QueuePlan, queuePlans } from './plans.ts'
import { type LateQueue, lateQueues, refusedPlans } from './refused-plans.ts'
import { scalingPlans } from './scaling-plans.ts'

/** The operator sends each request for a queue once more after this time, ms. */
const AGAIN_MS = 90_000

/** What users need. */
export interface UsersInit {
  readonly world: World
  readonly scenario: Scenario
  readonly plane: Pick<ControlPlane, 'addressOf'>
  readonly random: SeededRandomness
  readonly observe: (observation: Observation) => void
}

/** All users of a world. */
export interface Users {
  start(): void
  /** What they still wait for, one line each. */
  open(): readonly string[]
}

class AllUsers implements Users {
  readonly #init: UsersInit
  readonly #queues: readonly QueuePlan[]
  readonly #late: readonly LateQueue[]
  readonly #jobs: readonly JobPlan[]
  readonly #owners: JobOwner[] = []
  readonly #queuesWaiting = new Set<string>()
  readonly #starts: (() => void)[] = []
  /** One sequence of chance per process, so that one's draws do not shift another's. */
  readonly #randomOf: ReadonlyMap<string, SeededRandomness>

  constructor(init: UsersInit) {
    const { scenario, random, world } = init
    this.#init = init
    this.#queues = queuePlans(scenario, TENANTS)
    const jobs = jobPlans(scenario, this.#queues, random.fork())
    const names = ['operator', ...TENANTS]
    this.#randomOf = new Map(names.map((name) => [name, random.fork()]))
    this.#late = lateQueues(scenario, TENANTS, random.fork())
    const parts = { scenario, queues: this.#queues, late: this.#late, random: random.fork() }
    const refused = refusedPlans(parts)
    this.#jobs = [...jobs, ...refused, ...scalingPlans(scenario, this.#queues, random.fork())]
    for (const name of names) {
      const machine = world.machine(`user-${name}`)
      const process = machine.process(`user-${name}`, (context) =>
        name === 'operator' ? this.#operator(context) : this.#tenant(name, context),
      )
      this.#starts.push(() => process.start())
    }
  }

  start(): void {
    for (const { name } of [...this.#queues, ...this.#late]) this.#queuesWaiting.add(name)
    for (const start of this.#starts) start()
  }

  open(): readonly string[] {
    const queues = [...this.#queuesWaiting].map((name) => `queue ${name} is not made yet`)
    return [...queues, ...this.#owners.flatMap((owner) => owner.open ?? [])]
  }

  #randomFor(name: string): SeededRandomness {
    const random = this.#randomOf.get(name)
    if (random === undefined) throw new Error(`no user ${name}`)
    return random
  }

  #operator(context: ProcessContext): Running {
    const { plane } = this.#init
    const random = this.#randomFor('operator')
    const address = plane.addressOf('scheduler')
    const calls = new UserCalls({ context, random, token: TOKENS.admin, address })
    const { timers } = context.ports
    for (const plan of this.#queues) void this.#queue(plan, calls, context)
    for (const plan of this.#late) {
      const inMs = Math.max(0, plan.atMs - this.#init.world.time.nowMs)
      void timers.sleep(inMs).then(() => this.#queue(plan, calls, context))
    }
    return nothingToEnd
  }

  /** A queue; another one of its name, which is refused; and both requests once more, later. */
  async #queue(plan: QueuePlan, calls: UserCalls, context: ProcessContext): Promise<void> {
    const { timers } = context.ports
    const ids = [calls.newRequestId(), calls.newRequestId()]
    const other = { ...plan, weight: plan.weight + 1 }
    for (;;) {
      const [first = '', second = ''] = ids
      await this.#makeQueue(plan, { requestId: first, calls, context })
      await this.#makeQueue(other, { requestId: second, calls, context })
      if (!this.#queuesWaiting.delete(plan.name)) return
      await timers.sleep(AGAIN_MS)
    }
  }

  async #makeQueue(
    plan: QueuePlan,
    of: { requestId: string; calls: UserCalls; context: ProcessContext },
  ): Promise<void> {
    const { observe, world } = this.#init
    const { requestId, calls, context } = of
    const answer = await insist(() => calls.createQueue(requestId, plan), {
      timers: context.ports.timers,
      random: this.#randomFor('operator'),
      onFailure: (error) => {
        const reason = error instanceof RpcError ? error.reason : 'UNKNOWN'
        world.trace.note('users', `queue ${reason}`, () => `queue ${plan.name}: ${reason}`)
      },
    })
    const atMs = world.time.nowMs
    const about = { kind: 'answered', atMs, requestId, call: 'queue', jobId: plan.name } as const
    if (answer.ok) observe({ ...about, ok: true, reason: '', position: answer.value })
    else observe({ ...about, ok: false, reason: answer.reason, position: '' })
  }

  #tenant(tenant: string, context: ProcessContext): Running {
    const { plane, world, observe } = this.#init
    const { timers } = context.ports
    const random = this.#randomFor(tenant)
    const address = plane.addressOf('mediator')
    const token = TOKENS.tenant(tenant)
    for (const [index, plan] of this.#jobs.entries()) {
      if (plan.tenant !== tenant) continue
      const own = random.fork()
      const calls = new UserCalls({ context, random: own, token, address })
      const parts = { plan, calls, timers, random: own, observe }
      const owner = new JobOwner(
        { ...parts, time: world.time, trace: world.trace },
        `job-${index + 1} of ${tenant}`,
      )
      this.#owners.push(owner)
      owner.run().catch((error: unknown) => {
        context.ports.logger.log('error', 'a user gave up', { error: String(error) })
      })
    }
    return nothingToEnd
  }
}

const nothingToEnd: Running = { stop: async () => undefined }

/** Makes the users of a scenario; all they will do is drawn now. */
export function createUsers(init: UsersInit): Users {
  return new AllUsers(init)
}
