/** Writes snapshots, reads them back, and lets go of what they replace. */
import { eventsTopic, type LogAddress, type SnapshotInfo } from '@serverless-ai/eventlog'
import type { Message } from '@serverless-ai/kernel'
import type { RuntimeContext } from './context.ts'
import { errorText } from './errors.ts'
import type { CommitFacts, RuntimeFact } from './facts.ts'
import type { Framework } from './framework.ts'
import { stateReader } from './loader.ts'
import { Pace } from './pace.ts'
import { Partition, type SnapshotContent } from './partition.ts'
import { milestoneEveryMs, type TrimPlan, trimPlan } from './retention.ts'

/** Facts after which less of the log may be needed. */
const MAY_TRIM: ReadonlySet<string> = new Set(['SnapshotVerified', 'PublishedThrough'])

/** Snapshots of one partition. */
export class Snapshots<S, C extends Message, E extends Message> {
  readonly #context: RuntimeContext<S, C, E>
  readonly #address: LogAddress
  /** Commits the fact that a snapshot is good. */
  readonly #commit: (fact: RuntimeFact) => void
  /** Commits with content since the last snapshot. */
  #commits = 0
  /** Log time of the first and of the last of them. */
  #firstAtMs = 0
  #lastAtMs = 0
  #tidying = false
  /** What the last `tidy` was about: there is nothing to do again. */
  #tidied = ''
  #writing = false
  readonly #pace = new Pace()
  name = ''
  position = -1

  constructor(
    context: RuntimeContext<S, C, E>,
    host: { readonly address: LogAddress; commit(fact: RuntimeFact): void },
  ) {
    this.#context = context
    this.#address = host.address
    this.#commit = host.commit
  }

  /** Something is folded that a snapshot should hold. */
  get news(): boolean {
    return this.#kept && this.#commits > 0
  }

  get #kept(): boolean {
    return this.#context.environment.snapshots.keeps ?? true
  }

  get #due(): boolean {
    const { options, ports } = this.#context
    const oldMs = this.#lastAtMs - this.#firstAtMs
    const old = this.#commits > 0 && oldMs >= milestoneEveryMs(options.retentionMs)
    const many = this.#commits >= options.snapshotEveryCommits
    if (!(many || old) || this.#writing || !this.#kept) return false
    return this.#pace.ready(ports.clock.monotonicMs())
  }

  loaded(name: string, position: number): void {
    this.name = name
    this.position = position
    this.#commits = 0
  }

  folded(facts: CommitFacts): void {
    if (facts.events.length + facts.answers.length + facts.inputs.length === 0) return
    if (this.#commits === 0) this.#firstAtMs = facts.atMs
    this.#lastAtMs = facts.atMs
    this.#commits += 1
  }

  /** Writes a snapshot of the leader's state, which is effective now, when it is time to. */
  writeIfDue(state: Partition<S, C, E>): void {
    if (!this.#due) return
    this.write(state).catch((error: unknown) => {
      const fields = { error: errorText(error) }
      this.#context.logger.log('error', 'no snapshot could be written', fields)
    })
  }

  /**
   * Writes a snapshot of the state, which is effective now, checks it by reading it back, and has
   * committed that it is good. Returns its name.
   */
  async write(state: Partition<S, C, E>): Promise<string> {
    const { clock } = this.#context.ports
    const startMs = clock.monotonicMs()
    const content = state.toSnapshot()
    const text = new TextEncoder().encode(JSON.stringify(content))
    let heldMs = clock.monotonicMs() - startMs
    let verified = false
    this.#commits = 0
    this.#writing = true
    try {
      const { position, digest } = content
      const name = await this.#put(position, text)
      this.name = name
      this.position = position
      const bytes = await this.#readBack(name)
      const readMs = clock.monotonicMs()
      const good = this.#isGood(bytes, { name, digest })
      heldMs += clock.monotonicMs() - readMs
      const { retentionMs } = this.#context.options
      if (good) this.#commit({ type: 'SnapshotVerified', name, position, digest, retentionMs })
      verified = good
      return name
    } finally {
      const tookMs = clock.monotonicMs() - startMs
      this.#context.environment.observer?.snapshot({ verified, tookMs })
      this.#writing = false
      this.#pace.took(heldMs, clock.monotonicMs())
    }
  }

  async #put(position: number, content: Uint8Array): Promise<string> {
    const { environment, definition } = this.#context
    const { schemaVersion } = definition
    const snapshot = { position, schemaVersion, content }
    const info = await environment.snapshots.put(this.#address, snapshot)
    return info.name
  }

  async #readBack(name: string): Promise<Uint8Array | undefined> {
    const { environment, logger } = this.#context
    try {
      return await environment.snapshots.get(this.#address, name)
    } catch (error) {
      logger.log('error', 'a snapshot cannot be read', { name, error: errorText(error) })
      return undefined
    }
  }

  /** What was read back loads, and loads the same state. */
  #isGood(bytes: Uint8Array | undefined, of: { name: string; digest: string }): boolean {
    const { definition, logger } = this.#context
    const { name, digest } = of
    try {
      if (bytes === undefined) throw new Error('it cannot be read, or its checksums do not hold')
      const content: SnapshotContent = JSON.parse(new TextDecoder().decode(bytes))
      const loaded = Partition.fromSnapshot(definition, content)
      if (loaded.digest() === digest) return true
      throw new Error('the state that it loads is another one')
    } catch (error) {
      logger.log('error', 'a snapshot is not usable', { name, error: errorText(error) })
      return false
    }
  }

  /** Tidies up when these facts may have left something that is not needed any more. */
  tidyAfter({ runtime }: CommitFacts, framework: Framework): void {
    if (runtime.some(({ type }) => MAY_TRIM.has(type))) void this.tidy(framework)
  }

  /**
   * Removes the snapshots that newer ones replace, and what is older than the retention of the log
   * and of the public events.
   */
  async tidy(framework: Framework): Promise<void> {
    const { options, logger } = this.#context
    const { verified, milestones } = framework
    const keep = new Set([...verified, ...milestones].map(({ name }) => name))
    const newest = verified[0]?.position ?? -1
    const plan = trimPlan(framework, options.retentionMs)
    const about = JSON.stringify([verified, milestones, plan])
    if (this.#tidying || about === this.#tidied) return
    this.#tidying = true
    try {
      const infos = await this.#context.environment.snapshots.list(this.#address)
      if (plan !== undefined) await this.#trim(plan, infos)
      for (const info of infos) {
        const old = verified.length === 2 && info.position < newest
        if (!old || keep.has(info.name)) continue
        await this.#context.environment.snapshots.remove(this.#address, info.name)
      }
      this.#tidied = about
    } catch (error) {
      logger.log('warn', 'what is old could not be removed', { error: errorText(error) })
    } finally {
      this.#tidying = false
    }
  }

  async #trim(plan: TrimPlan, infos: readonly SnapshotInfo[]): Promise<void> {
    const { environment, definition, logger } = this.#context
    const { log, events } = plan
    // The log says that they were verified; whether they are still there, and are of use to this
    // version, is another thing.
    const usable = new Set(
      infos.flatMap(({ name, schemaVersion }) =>
        stateReader(definition, schemaVersion) === undefined ? [] : [name],
      ),
    )
    if (!plan.needs.every((name) => usable.has(name))) return
    await environment.eventLog.trim(this.#address, log)
    // The last one stays, so that whoever comes with a mark below sees the gap at once.
    const address = { topic: eventsTopic(definition.name), partition: this.#address.partition }
    if (events > 0) await environment.eventLog.trim(address, events)
    logger.log('debug', 'nothing older than the retention is left', { log, events })
  }
}
