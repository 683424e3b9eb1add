import { setTimeout as sleep } from 'node:timers/promises'
import { augmentRow } from './augment.ts'
import type { Settings, TrainingState } from './checkpoint.ts'
import { CheckpointStore, digestOf, loadCheckpoint } from './checkpoint.ts'
import { type Digits, loadDigits, PIXELS, type Rows } from './data.ts'
import { EXIT, WorkloadError } from './errors.ts'
import type { Launch, Options } from './launch.ts'
import {
  accuracy,
  addGradient,
  descend,
  initialParameters,
  makeScratch,
  parameterCount,
} from './model.ts'
import { NoticeFile } from './notice.ts'
import { epochOrder } from './random.ts'
import { type CheckpointLine, type JournalLine, openLines, type ReportLine } from './report.ts'
import type { Gang } from './ring.ts'

const PROGRESS_EVERY_MS = 500
/** A stop that the gang does not agree on in this time is carried out alone. */
const STOP_AGREEMENT_MS = 1000

/** A rank was told of a planned change: the sums of the step say so to all. */
const noticed = (vector: Float64Array): boolean => vector.at(-1) !== 0

/** A request to stop: the exit code of the signal that asked for it. */
export class StopSwitch {
  #exitCode: number | undefined
  #onStop: (() => void) | undefined

  get exitCode(): number | undefined {
    return this.#exitCode
  }

  /** The first request counts. */
  request(exitCode: number): void {
    if (this.#exitCode !== undefined) return
    this.#exitCode = exitCode
    this.#onStop?.()
  }

  /** Calls `listener` at the request, at once when it has been made. One listener. */
  onRequest(listener: () => void): void {
    this.#onStop = listener
    if (this.#exitCode !== undefined) listener()
  }
}

export interface TrainingInput {
  readonly launch: Launch
  readonly options: Options
  readonly stop: StopSwitch
  /** Lines for people. */
  readonly log: (line: string) => void
}

/** The training of one rank: everything that does not depend on other ranks, and the loop. */
export class Training {
  readonly #in: TrainingInput
  readonly #digits: Digits
  readonly #settings: Settings
  readonly #state: TrainingState
  readonly #store: CheckpointStore | undefined
  readonly #report
  readonly #journal
  readonly #stepsPerEpoch: number
  readonly #totalSteps: number
  #order = new Uint32Array()
  #orderEpoch = -1
  #savedStep = -1
  #saved: CheckpointLine | undefined
  readonly #notice: NoticeFile
  #lastProgressAt = Number.NEGATIVE_INFINITY
  #loss: number | undefined

  /**
   * Checks and loads everything, so that a mistake ends the run before the gang has gathered.
   * @throws WorkloadError 65, 66, 74 or 76 as the readers say
   */
  constructor(input: TrainingInput) {
    const { launch, options } = input
    this.#in = input
    this.#store =
      launch.checkpointDir === undefined
        ? undefined
        : new CheckpointStore(launch.checkpointDir, launch.generation)
    this.#store?.requireRoot()
    this.#digits = loadDigits(options.dataFile)
    const { epochs, batch, learningRate, hidden, seed } = options
    this.#settings = { epochs, batch, learningRate, hidden, seed, data: this.#digits.digest }
    this.#state = this.#initialState()
    this.#stepsPerEpoch = Math.ceil(this.#digits.train.count / batch)
    this.#totalSteps = this.#stepsPerEpoch * epochs
    this.#report = openLines<ReportLine>(launch.rank === 0 ? launch.reportFile : undefined)
    this.#journal = openLines<JournalLine>(launch.journalFile)
    // One rank looks: the gang hears of it together, with the sums of a step.
    this.#notice = new NoticeFile(launch.rank === 0 ? launch.noticeFile : undefined)
    if (launch.rank === 0) this.#store?.claim()
  }

  /**
   * Trains to the end, or until a stop. Rank 0 reports, saves and evaluates.
   * @returns the exit code
   * @throws WorkloadError 75 when a peer is lost, 65 to 76 when saving fails
   */
  async run(gang: Gang): Promise<number> {
    const { launch, options, stop } = this.#in
    stop.onRequest(() => gang.hurry(STOP_AGREEMENT_MS))
    const gradient = this.#makeVector()
    while (this.#state.step < this.#totalSteps) {
      this.#fill(gradient)
      try {
        await gang.allReduce(gradient)
      } catch (error) {
        // The last finished step is whole on this rank, whatever became of the others.
        if (stop.exitCode === undefined) throw error
        return this.#stopped(stop.exitCode)
      }
      this.#apply(gradient)
      const stoppers = this.#stoppers(gradient)
      if (stop.exitCode !== undefined && stoppers.includes(launch.rank)) {
        return this.#stopped(stop.exitCode)
      }
      if (stoppers.length > 0) {
        this.#save()
        const text = `stopped after step ${this.#state.step}, with rank ${stoppers.join(', ')}`
        throw new WorkloadError(EXIT.peerLost, text)
      }
      if (noticed(gradient)) return await this.#waitForEnd()
      const every = options.checkpointEverySteps
      if (every > 0 && this.#state.step % every === 0) this.#save()
      if (options.stepDelayMs > 0) await sleep(options.stepDelayMs)
    }
    this.#finish()
    return EXIT.ok
  }

  #initialState(): TrainingState {
    const { launch, options, log } = this.#in
    if (launch.resumeFrom !== undefined) {
      const state = loadCheckpoint(launch.resumeFrom, this.#settings)
      if (launch.rank === 0) log(`resumes after step ${state.step} from ${launch.resumeFrom}`)
      return state
    }
    const parameters = initialParameters(options, options.seed)
    return { step: 0, parameters, velocity: new Float64Array(parameters.length) }
  }

  /** Summed over the ranks in one go: gradient, loss, who wants to stop, and a notice. */
  #makeVector(): Float64Array {
    return new Float64Array(parameterCount(this.#in.options) + 2 + this.#in.launch.worldSize)
  }

  #rowsOfStep(): { order: Uint32Array; from: number; to: number } {
    const epoch = Math.floor(this.#state.step / this.#stepsPerEpoch)
    const rows = this.#digits.train.count
    if (epoch !== this.#orderEpoch) {
      this.#order = epochOrder({ seed: this.#settings.seed, epoch, rows })
      this.#orderEpoch = epoch
    }
    const from = (this.#state.step % this.#stepsPerEpoch) * this.#settings.batch
    return { order: this.#order, from, to: Math.min(rows, from + this.#settings.batch) }
  }

  /** This rank's share of the step's rows: every `worldSize`-th one. */
  #fill(vector: Float64Array): void {
    const { launch, options, stop } = this.#in
    const { parameters, step } = this.#state
    const { order, from, to } = this.#rowsOfStep()
    const one: Rows = { count: 1, pixels: new Float64Array(PIXELS), labels: new Uint8Array(1) }
    const scratch = makeScratch(options)
    vector.fill(0)
    let loss = 0
    for (let i = from + launch.rank; i < to; i += launch.worldSize) {
      const seed = Math.imul(step + 1, 0x9e3779b1) ^ Math.imul(i + options.seed * 7919, 0x85ebca6b)
      augmentRow(this.#digits.train, order[i]!, one, seed)
      loss += addGradient(options, parameters, one, 0, 1 / (to - from), vector, scratch)
    }
    vector[parameters.length] = loss / (to - from)
    if (stop.exitCode !== undefined) vector[parameters.length + 1 + launch.rank] = 1
    if (this.#notice.look() !== '') vector[vector.length - 1] = 1
  }

  #stoppers(vector: Float64Array): number[] {
    const flags = vector.subarray(this.#state.parameters.length + 1, -1)
    return [...flags.keys()].filter((rank) => flags[rank] !== 0)
  }

  #apply(vector: Float64Array): void {
    const { launch, log } = this.#in
    const { parameters, velocity } = this.#state
    const rate = this.#settings.learningRate * (1 - this.#state.step / this.#totalSteps)
    descend(parameters, velocity, vector, rate)
    const step = ++this.#state.step
    const loss = vector[parameters.length] ?? 0
    this.#loss = loss
    const { rank, generation } = launch
    this.#journal({ kind: 'journal', step, rank, generation, atMs: Date.now() })
    if (rank !== 0 || performance.now() < this.#lastProgressAt + PROGRESS_EVERY_MS) return
    this.#lastProgressAt = performance.now()
    const totalSteps = this.#totalSteps
    this.#report({ kind: 'progress', step, totalSteps, loss, atMs: Date.now() })
    log(`step ${step} of ${totalSteps}, loss ${loss.toFixed(4)}`)
  }

  /** Rank 0 saves where it stands, unless that is saved already. */
  #save(): void {
    const { launch } = this.#in
    if (launch.rank !== 0 || this.#store === undefined) return
    if (this.#savedStep === this.#state.step) return
    const about = { runId: launch.runId, settings: this.#settings }
    this.#saved = this.#store.write(this.#state, about)
    this.#report(this.#saved)
    this.#savedStep = this.#state.step
  }

  /**
   * A planned change: what is done is saved and no further step is, so that the next generation
   * goes on exactly here. The platform ends this one.
   */
  async #waitForEnd(): Promise<number> {
    const { stop, log } = this.#in
    this.#save()
    const notice = this.#notice.look()
    if (this.#saved !== undefined) this.#report({ ...this.#saved, notice })
    log(`waits after step ${this.#state.step} for a planned change`)
    const exitCode = await new Promise<number>((resolve) => {
      // A signal alone does not keep a process alive.
      const alive = setInterval(() => undefined, 60_000)
      stop.onRequest(() => {
        clearInterval(alive)
        resolve(stop.exitCode ?? EXIT.terminated)
      })
    })
    return this.#stopped(exitCode)
  }

  #stopped(exitCode: number): number {
    this.#save()
    this.#in.log(`stopped after step ${this.#state.step} as asked`)
    return exitCode
  }

  #finish(): void {
    const { launch, options, log } = this.#in
    if (launch.rank !== 0) return
    this.#save()
    const { parameters, step } = this.#state
    const share = accuracy(options, parameters, this.#digits.test)
    const parametersDigest = digestOf(parameters)
    const loss = this.#loss === undefined ? {} : { loss: this.#loss }
    this.#report({
      kind: 'result',
      metrics: { accuracy: share, steps: step, ...loss },
      parametersDigest,
    })
    log(`done after ${step} steps, accuracy ${share.toFixed(4)}, parameters ${parametersDigest}`)
  }
}
