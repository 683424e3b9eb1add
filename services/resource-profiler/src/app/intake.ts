import type {
  SendTelemetryRequest,
  SendTelemetryResponse,
  TelemetryBatch,
  TelemetryIntakeServiceService,
} from '@serverless-ai/contracts/telemetry/v1/telemetry'
import type { CallContext, Clock, HandlersOf, Logger, Principal } from '@serverless-ai/kernel'
import { notYourNode, telemetryInvalid } from '../adapters/errors.ts'
import { checkSamples, envelopeProblem } from '../adapters/telemetry.ts'
import { NodeMarks, type Rejection } from '../core/samples.ts'

/** Nodes whose measurements are remembered; the one that was silent for longest goes first. */
const NODES_MAX = 10_000
/** What a node is refused is logged at most once in this time, ms. */
const LOG_EVERY_MS = 60_000

interface Node {
  readonly bootId: string
  readonly marks: NodeMarks
  loggedMs: number
}

/** What the intake needs. */
export interface IntakeOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** Where batches go on to; false = they were dropped. */
  readonly deliver: (batch: TelemetryBatch) => boolean
  /** Counts refused samples. */
  readonly onRejected?: (code: Rejection, samples: number) => void
}

/** Id of the node that a caller is. */
const nodeOf = ({ subject }: Principal): string => subject.replace(/^node:/, '')

/** Takes the measurements of agents in: each node speaks for itself, in units that can be. */
export class TelemetryIntake {
  readonly #options: IntakeOptions
  readonly #nodes = new Map<string, Node>()
  /** Batches that were taken, and that nobody could take on. */
  batches = 0
  dropped = 0

  constructor(options: IntakeOptions) {
    this.#options = options
  }

  handlers(): HandlersOf<typeof TelemetryIntakeServiceService> {
    return { sendTelemetry: (requests, context) => this.#stream(requests, context) }
  }

  async #stream(
    requests: AsyncIterable<SendTelemetryRequest>,
    { principal }: CallContext,
  ): Promise<SendTelemetryResponse> {
    const nodeId = nodeOf(principal)
    const counts = new Map<Rejection, number>()
    let batches = 0n
    for await (const { batch } of requests) {
      const problem = envelopeProblem(batch)
      if (batch === undefined || problem !== '') {
        throw telemetryInvalid(batch?.source ?? '', problem)
      }
      if (batch.source !== `node/${nodeId}`) throw notYourNode(batch.source, principal.subject)
      this.#take(nodeId, batch, counts)
      batches += 1n
    }
    const rejected = [...counts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([code, samples]) => ({ code, samples: BigInt(samples) }))
    const rejectedSamples = rejected.reduce((sum, { samples }) => sum + samples, 0n)
    return { batches, rejectedSamples, rejected }
  }

  #take(nodeId: string, batch: TelemetryBatch, counts: Map<Rejection, number>): void {
    const { clock, deliver, onRejected } = this.#options
    const node = this.#nodeOf(nodeId, batch.bootId)
    const nowMs = clock.wallMs()
    const { samples, rejected } = checkSamples(batch, { nodeId, marks: node.marks }, nowMs)
    for (const code of rejected) {
      counts.set(code, (counts.get(code) ?? 0) + 1)
      onRejected?.(code, 1)
    }
    if (rejected.length > 0) this.#tell(nodeId, node, rejected)
    this.batches += 1
    // Also an empty one goes on: its number shows that nothing is missing.
    if (!deliver({ ...batch, samples })) this.dropped += 1
  }

  #nodeOf(nodeId: string, bootId: string): Node {
    const known = this.#nodes.get(nodeId)
    const node =
      known?.bootId === bootId
        ? known
        : { bootId, marks: new NodeMarks(), loggedMs: Number.NEGATIVE_INFINITY }
    this.#nodes.delete(nodeId)
    this.#nodes.set(nodeId, node)
    if (this.#nodes.size > NODES_MAX) {
      const [oldest = ''] = this.#nodes.keys()
      this.#nodes.delete(oldest)
    }
    return node
  }

  #tell(nodeId: string, node: Node, rejected: readonly Rejection[]): void {
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs - node.loggedMs < LOG_EVERY_MS) return
    node.loggedMs = nowMs
    const codes = [...new Set(rejected)].join(', ')
    const fields = { nodeId, codes, samples: rejected.length }
    this.#options.logger.log('warn', 'measurements of a node cannot be', fields)
  }
}
