/** A pool manager of which a test says what it wants. */
import {
  AgentServiceService,
  Assignment,
  type ConnectRequest,
  type ConnectResponse,
  type ExecutionReport,
} from '@serverless-ai/contracts/agent/v1/agent'
import { AsyncChannel } from '@serverless-ai/kernel'
import { staticTokens } from '@serverless-ai/rpc'
import type { ProcessContext, Running, SimProcess, World } from '../../world/index.ts'
import { commandOf, QUIET_SCRIPT } from '../nodes/script.ts'
import type { TaskScript } from '../types.ts'

type Response = NonNullable<ConnectResponse['message']>

/** What a test wants to run. */
export interface WantedTask {
  readonly jobId: string
  readonly node: string
  readonly rank: number
  readonly worldSize: number
  readonly generation: number
  readonly devices: readonly number[]
  readonly exclusive: boolean
  readonly resumeFrom: string
  readonly script: Partial<TaskScript>
  /** In place of the script's command line. */
  readonly command: readonly string[] | undefined
}

/** A task of one rank on `node-1`, unless more is said. */
export function wantedTask(more: Partial<WantedTask> = {}): WantedTask {
  return {
    jobId: 'j-0-1',
    node: 'node-1',
    rank: 0,
    worldSize: 1,
    generation: 1,
    devices: [0],
    exclusive: false,
    resumeFrom: '',
    script: {},
    command: undefined,
    ...more,
  }
}

function assignmentOf(task: WantedTask): Assignment {
  const { jobId, generation, rank, worldSize, resumeFrom, devices, exclusive } = task
  return {
    ...Assignment.fromPartial({}),
    key: { jobId, gang: 0, generation, rank },
    tenant: 'team-a',
    command: [...(task.command ?? commandOf({ ...QUIET_SCRIPT, ...task.script }))],
    env: {
      RANK: String(rank),
      WORLD_SIZE: String(worldSize),
      ...(resumeFrom === '' ? {} : { SAI_RESUME_FROM: resumeFrom }),
    },
    deviceIndexes: [...devices],
    exclusive,
    stopGraceMs: 3_000n,
  }
}

/** Takes the streams of agents, gives leases, acknowledges, keeps what was reported. */
export class ScriptedPool {
  readonly process: SimProcess
  readonly address = 'pool-1:7070'
  readonly leaseMs = 15_000
  readonly reports: { readonly node: string; readonly report: ExecutionReport }[] = []
  /** Lines by task, each once. */
  readonly lines = new Map<string, string>()
  hellos = 0
  readonly #streams = new Map<string, AsyncChannel<ConnectResponse>>()
  #wanted: readonly WantedTask[] = []
  #position = 1n

  constructor(world: World) {
    this.process = world.machine('pool-1').process('pool-1', (context) => this.#main(context))
  }

  /** Says anew what shall run. */
  want(tasks: readonly WantedTask[]): void {
    this.#wanted = tasks
    this.#position += 1n
    for (const node of this.#streams.keys()) this.#sendDesired(node)
  }

  /** Newest report of each task, as `job/generation/rank`: its state or how it ended. */
  states(): ReadonlyMap<string, string> {
    const states = new Map<string, string>()
    for (const { report } of this.reports) {
      for (const { key, state, exit } of report.executions) {
        const ended = exit === undefined ? `${state}` : `ended ${exit.exitCode} ${exit.signal}`
        states.set(`${key?.jobId}/${key?.generation}/${key?.rank}`, ended.trim())
      }
    }
    return states
  }

  #main(context: ProcessContext): Running {
    const server = context.server({
      authenticate: staticTokens([
        { token: 'token', principal: { subject: 'node', tenant: '', roles: ['agent'] } },
      ]),
    })
    server.add(AgentServiceService, { connect: (requests) => this.#connect(requests) })
    void server.listen(this.address)
    return { stop: () => server.close(0) }
  }

  #connect(requests: AsyncIterable<ConnectRequest>): AsyncIterable<ConnectResponse> {
    const stream = new AsyncChannel<ConnectResponse>({ max: 1_000 })
    let node = ''
    const read = async (): Promise<void> => {
      for await (const { message } of requests) {
        if (message?.$case === 'hello') {
          node = message.value.nodeId
          this.#streams.set(node, stream)
        }
        this.#receive(node, stream, message)
      }
    }
    read()
      .catch(() => undefined)
      .finally(() => {
        if (this.#streams.get(node) === stream) this.#streams.delete(node)
        stream.end()
      })
    return stream
  }

  #receive(
    node: string,
    stream: AsyncChannel<ConnectResponse>,
    message: ConnectRequest['message'],
  ): void {
    const answer = (response: Response): unknown => stream.push({ message: response })
    const leaseMs = BigInt(this.leaseMs)
    switch (message?.$case) {
      case 'hello':
        this.hellos += 1
        answer({ $case: 'welcome', value: { leaseMs, wallMs: 0n } })
        this.#sendDesired(node)
        return
      case 'heartbeat': {
        const { number, sentBootMs } = message.value
        answer({ $case: 'heartbeatAck', value: { number, sentBootMs, leaseMs } })
        return
      }
      case 'report':
        this.reports.push({ node, report: message.value })
        for (const { key, line, json } of message.value.taskReports) {
          this.lines.set(`${key?.jobId}/${key?.generation}/${key?.rank} ${line}`, json)
        }
        answer({ $case: 'reportAck', value: { number: message.value.number } })
        return
      default:
    }
  }

  #sendDesired(node: string): void {
    const assignments = this.#wanted.filter((task) => task.node === node).map(assignmentOf)
    const value = {
      version: { epoch: 1n, position: this.#position },
      assignments,
      forget: [],
    }
    this.#streams.get(node)?.push({ message: { $case: 'desired', value } })
  }
}
