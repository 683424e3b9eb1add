/** Writes snapshots, reads them back, and lets go of what they replace. */
import type { LogAddress } from '@serverless-ai/eventlog'
import type { Message } from '@serverless-ai/kernel'
import type { RuntimeContext } from './context.ts'
import { errorText } from './errors.ts'
import type { CommitFacts, RuntimeFact } from './facts.ts'
import type { Framework } from './framework.ts'
import { Pace } from './pace.ts'
import { Partition, type SnapshotContent } from './partition.ts'

/**
 * Nothing below this position is needed by the two newest verified snapshots or by the publisher;
 * undefined = keep all.
 */
export function trimBelow(framework: Framework): number | undefined {
  const second = framework.verified[1]
  if (second === undefined) return undefined
  const unpublished = framework.unpublished[0]?.position ?? Number.POSITIVE_INFINITY
  return Math.min(second.position, unpublished)
}

/** Snapshots of one partition. */
export class Snapshots<S, C extends Message, E extends Message> {
  readonly #context: RuntimeContext<S, C, E>
  readonly #address: LogAddress
  /** Commits with content since the last snapshot. */
  #commits = 0
  #writing: Promise<string> | undefined
  readonly #pace = new Pace()
  name = ''
  position = -1

  constructor(context: RuntimeContext<S, C, E>, address: LogAddress) {
    this.#context = context
    this.#address = address
  }

  /** Something is folded that no snapshot holds. */
  get news(): boolean {
    return this.#commits > 0
  }

  get due(): boolean {
    const { options, ports } = this.#context
    if (this.#commits < options.snapshotEveryCommits || this.#writing !== undefined) return false
    return this.#pace.ready(ports.clock.monotonicMs())
  }

  loaded(name: string, position: number): void {
    this.name = name
    this.position = position
    this.#commits = 0
  }

  folded(facts: CommitFacts): void {
    if (facts.events.length + facts.answers.length + facts.inputs.length > 0) this.#commits += 1
  }

  /**
   * Writes a snapshot of the state, which is effective now, and checks it by reading it back.
   * Returns its name and the fact to be committed.
   */
  async write(
    state: Partition<S, C, E>,
  ): Promise<{ name: string; verified: RuntimeFact | undefined }> {
    const { clock } = this.#context.ports
    const startMs = clock.monotonicMs()
    const content = state.toSnapshot()
    const text = new TextEncoder().encode(JSON.stringify(content))
    this.#pace.took(startMs, clock.monotonicMs())
    this.#commits = 0
    const put = this.#put(content.position, text)
    this.#writing = put
    try {
      const name = await put
      this.name = name
      this.position = content.position
      const good = await this.#verify(name, content.digest)
      const { position, digest } = content
      const verified = { type: 'SnapshotVerified', name, position, digest } as const
      return { name, verified: good ? verified : undefined }
    } finally {
      this.#writing = undefined
    }
  }

  async #put(position: number, content: Uint8Array): Promise<string> {
    const { environment, definition } = this.#context
    const { schemaVersion } = definition
    const snapshot = { position, schemaVersion, content }
    const info = await environment.snapshots.put(this.#address, snapshot)
    return info.name
  }

  async #verify(name: string, digest: string): Promise<boolean> {
    const { environment, definition, logger } = this.#context
    try {
      const bytes = await environment.snapshots.get(this.#address, name)
      if (bytes === undefined) throw new Error('its checksums do not hold')
      const content: SnapshotContent = JSON.parse(new TextDecoder().decode(bytes))
      const loaded = Partition.fromSnapshot(definition, content)
      if (loaded.digest() === digest) return true
      throw new Error('the state that it loads is another one')
    } catch (error) {
      logger.log('error', 'a snapshot is not usable', { name, error: errorText(error) })
      return false
    }
  }

  /**
   * Removes what the two newest verified snapshots replace; trims the log where the options say so.
   */
  async tidy(framework: Framework): Promise<void> {
    const { environment, options, logger } = this.#context
    const keep = new Set(framework.verified.map(({ name }) => name))
    const newest = framework.verified[0]?.position ?? -1
    const below = trimBelow(framework)
    try {
      if (keep.size === 2) {
        for (const info of await environment.snapshots.list(this.#address)) {
          if (keep.has(info.name) || info.position >= newest) continue
          await environment.snapshots.remove(this.#address, info.name)
        }
      }
      if (options.trim === 'snapshots' && below !== undefined) {
        await environment.eventLog.trim(this.#address, below)
      }
    } catch (error) {
      logger.log('warn', 'old snapshots could not be removed', { error: errorText(error) })
    }
  }
}
