import type { Clock, Timer, Timers } from '@serverless-ai/kernel'
import { keyText } from '../../core/keys.ts'
import { countAnswer, type ProbeCount, probeCount, type ReadinessProbe } from '../../core/probe.ts'
import type { ProbeTarget, ToSupervisor } from '../ipc.ts'

/** Asks a task of this node once; empty = it can take requests, else why not. */
export type AskProbe = (probe: ReadinessProbe) => Promise<string>

interface Watched {
  readonly target: ProbeTarget
  count: ProbeCount
  timer: Timer | undefined
}

/** Asks the tasks of a node whether they can take requests, and tells the supervisor. */
export class Prober {
  private readonly watched = new Map<string, Watched>()
  private readonly options: {
    readonly clock: Clock
    readonly timers: Timers
    readonly askProbe: AskProbe
    readonly toSupervisor: (message: ToSupervisor) => void
  }

  constructor(options: Prober['options']) {
    this.options = options
  }

  /** All tasks that run and have a probe. Others are not asked any more. */
  watch(targets: readonly ProbeTarget[]): void {
    const wanted = new Map(targets.map((target) => [keyText(target.key), target]))
    for (const [text, { timer }] of this.watched) {
      if (wanted.has(text)) continue
      timer?.cancel()
      this.watched.delete(text)
    }
    for (const [text, target] of wanted) {
      if (this.watched.has(text)) continue
      const said = target.readiness ?? undefined
      const one = { target, count: probeCount(said), timer: undefined }
      this.watched.set(text, one)
      void this.ask(text, one)
    }
  }

  /** Asks nobody any more. */
  stop(): void {
    this.watch([])
  }

  private async ask(text: string, one: Watched): Promise<void> {
    const { clock, timers, askProbe, toSupervisor } = this.options
    const { key, probe } = one.target
    const startMs = clock.monotonicMs()
    const problem = await askProbe(probe)
    if (this.watched.get(text) !== one) return
    const { said } = one.count
    one.count = countAnswer(one.count, problem, probe)
    const now = one.count.said
    if (now !== undefined && now !== said) {
      toSupervisor({ type: 'probed', key, readiness: { ...now, atMs: clock.wallMs() } })
    }
    // Questions begin a period apart, however long the answers take.
    const tookMs = clock.monotonicMs() - startMs
    one.timer = timers.after(Math.max(0, probe.periodMs - tookMs), () => void this.ask(text, one))
  }
}
