/**
 * What really runs: one task per device of a node, each execution once in its life, only where and
 * with what it was placed, its devices are not free while it runs, and it is asked to end when its
 * generation is released.
 */
import type { RunningTask } from './ledger.ts'
import { placeText, secondsText, taskKey, taskText } from './names.ts'
import type { Observation, TaskKey } from './types.ts'
import type { WatcherFactory, WatcherInit } from './watcher.ts'

type Started = Extract<Observation, { kind: 'task-started' }>
type Ended = Extract<Observation, { kind: 'task-ended' }>

const runningText = ({ key, sinceMs }: RunningTask): string =>
  `${taskText(key)}, which runs since ${secondsText(sinceMs)}`

class Processes {
  readonly #alarm: WatcherInit['alarm']
  readonly #ledger: WatcherInit['ledger']
  /** `<node>/<device>` → who runs there. */
  readonly #onDevice = new Map<string, RunningTask>()
  /** Every execution that ever began: where and when. */
  readonly #begun = new Map<string, { readonly node: string; readonly atMs: number }>()

  /** Executions that the pool manager has told to be over. */
  readonly #toldOver = new Set<string>()

  constructor({ alarm, ledger }: WatcherInit) {
    this.#alarm = alarm
    this.#ledger = ledger
  }

  told(key: TaskKey): void {
    this.#toldOver.add(taskKey(key))
  }

  started(seen: Started): void {
    const { key, node, atMs, exclusive, devices } = seen
    const { jobId } = key
    const at = `${taskText(key)} starts on ${node} at ${secondsText(atMs)}`
    const before = this.#begun.get(taskKey(key))
    if (before !== undefined) {
      const text = `it was started on ${before.node} at ${secondsText(before.atMs)}`
      this.#alarm(jobId, `${at}: ${text}, and an execution is started at most once`)
    }
    this.#begun.set(taskKey(key), { node, atMs })
    const task = { key, node, devices, exclusive, sinceMs: atMs }
    for (const device of devices) {
      const place = `${node}/${device}`
      const other = this.#onDevice.get(place)
      if (other !== undefined) {
        this.#alarm(jobId, `${at} on device ${device}, beside ${runningText(other)}`)
      }
      this.#onDevice.set(place, task)
    }
    this.#placed(seen, at)
  }

  /** What runs was placed so. */
  #placed({ key, node, devices, exclusive }: Started, at: string): void {
    const { jobId, rank } = key
    const tell = (text: string): void => this.#alarm(jobId, `${at}: ${text}`)
    const placement = this.#ledger.placement(key)
    if (placement === undefined) {
      tell('this generation was never placed')
      return
    }
    const given = `${placement.nodes[rank] ?? 'no node'} in ${placeText(placement.at)}`
    if (placement.nodes[rank] !== node) tell(`it was placed on ${given}`)
    const own = placement.devices[rank] ?? []
    if (own.length !== devices.length || own.some((device) => !devices.includes(device))) {
      tell(`it runs on devices ${devices.join(',')} and was given ${own.join(',')} of ${given}`)
    }
    if (placement.exclusive !== exclusive) {
      const said = placement.exclusive ? 'exclusive' : 'not exclusive'
      tell(`its node takes it for the opposite, it was placed as ${said} on ${given}`)
    }
    if (placement.freed.has(rank)) tell('its devices were told to be free before')
  }

  /** A node asks a task to end when it is no longer wanted: never on the word of an old set. */
  #ordered(key: TaskKey, cause: string, at: string): void {
    if (cause !== 'SIGTERM') return
    const { jobId, gang, generation } = key
    const released = this.#ledger.gang(jobId, gang)?.releasedThrough ?? 0
    // A node that was lost and is back finds that its tasks were told to be over.
    if (released >= generation || this.#toldOver.has(taskKey(key))) return
    this.#alarm(jobId, `${at} by its node, and nobody has released this generation`)
  }

  ended({ key, node, cause, atMs }: Ended): void {
    this.#ordered(key, cause, `${taskText(key)} is ended on ${node} at ${secondsText(atMs)}`)
    const task = this.#ledger.running.get(taskKey(key))
    for (const device of task?.devices ?? []) {
      const place = `${node}/${device}`
      const on = this.#onDevice.get(place)
      if (on !== undefined && taskKey(on.key) === taskKey(key)) this.#onDevice.delete(place)
    }
  }
}

/** Follows real processes. */
export const processes: WatcherFactory = (init) => {
  const watch = new Processes(init)
  return {
    event(event) {
      const { body } = event
      if (body.is === 'TaskExited') watch.told(body.value)
      if (body.is !== 'DevicesFreed') return
      const { jobId, gang, generation, ranks, nodeId } = body.value
      for (const rank of ranks) {
        const key = { jobId, gang, generation, rank }
        const task = init.ledger.running.get(taskKey(key))
        if (task === undefined) continue
        const text = `devices of ${taskText(key)} on ${nodeId} are told to be free in`
        const still = `and it runs on ${task.node} since ${secondsText(task.sinceMs)}`
        init.alarm(jobId, `${text} ${placeText(event)}, ${still}`)
      }
    },
    observe(observation) {
      if (observation.kind === 'task-started') watch.started(observation)
      else if (observation.kind === 'task-ended') watch.ended(observation)
    },
  }
}
