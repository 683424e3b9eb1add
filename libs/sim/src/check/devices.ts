/**
 * What is granted is never granted twice: devices, CPU, memory and ports of a node from the
 * placement of a generation until they are told to be free; nothing that the node does not have,
 * and nothing on a node that the scheduler knows not to be ready.
 */
import { type Placement, placementOf } from './ledger.ts'
import { generationText, placeText, SERVICES } from './names.ts'
import type { EventSeen } from './seen.ts'
import type { WatcherFactory, WatcherInit } from './watcher.ts'

/** A rank of a generation that holds something. */
interface Holder {
  readonly placement: Placement
  readonly rank: number
}

/** What is held of a node. */
interface NodeHeld {
  readonly devices: Map<number, Holder>
  readonly ports: Map<number, Holder>
  cpuMillis: number
  memoryMib: number
}

const holderText = ({ placement, rank }: Holder): string => {
  const { jobId, gang, generation, at } = placement
  return `${generationText(jobId, gang, generation)} rank ${rank} (${placeText(at)})`
}

class Devices {
  readonly #alarm: WatcherInit['alarm']
  readonly #ledger: WatcherInit['ledger']
  readonly #nodes = new Map<string, NodeHeld>()

  constructor({ alarm, ledger }: WatcherInit) {
    this.#alarm = alarm
    this.#ledger = ledger
  }

  #held(node: string): NodeHeld {
    let held = this.#nodes.get(node)
    if (held === undefined) {
      held = { devices: new Map(), ports: new Map(), cpuMillis: 0, memoryMib: 0 }
      this.#nodes.set(node, held)
    }
    return held
  }

  placed(placement: Placement, event: EventSeen): void {
    const { jobId, gang, generation, nodes, ports } = placement
    const what = `${generationText(jobId, gang, generation)} is placed in ${placeText(event)}`
    for (const node of new Set(nodes)) this.#ready(node, what, event)
    for (const [rank, node] of nodes.entries()) {
      const tell = (text: string): void => this.#alarm(jobId, `${what}: rank ${rank} ${text}`)
      this.#take({ placement, rank }, node, tell)
    }
    const first = nodes[0]
    if (first === undefined) return
    const held = this.#held(first)
    for (const port of ports) {
      const other = held.ports.get(port)
      if (other !== undefined) {
        const text = `rank 0 gets port ${port} of ${first}, which ${holderText(other)} still holds`
        this.#alarm(jobId, `${what}: ${text}`)
      }
      held.ports.set(port, { placement, rank: 0 })
    }
  }

  #ready(node: string, what: string, event: EventSeen): void {
    const mark = event.commit.markAfter(SERVICES.pool)
    const known = this.#ledger.nodeStateAt(node, mark)
    if (known?.state === 'Ready') return
    const said =
      known === undefined
        ? 'does not exist for the scheduler'
        : `is ${known.state} since ${placeText(known.at)}`
    const reader = `the scheduler has read the pool manager's events up to ${mark}`
    this.#alarm(node, `${what} on ${node}, which ${said}; ${reader}`)
  }

  #take(holder: Holder, node: string, tell: (text: string) => void): void {
    const { placement, rank } = holder
    const held = this.#held(node)
    const has = this.#ledger.nodes.get(node)
    for (const device of placement.devices[rank] ?? []) {
      const other = held.devices.get(device)
      if (other !== undefined) {
        tell(`gets device ${device} of ${node}, which ${holderText(other)} still holds`)
      }
      if (has !== undefined && !has.devices.has(device)) {
        tell(`gets device ${device} of ${node}, which has ${[...has.devices].join(', ')}`)
      }
      held.devices.set(device, holder)
    }
    held.cpuMillis += placement.perTask.cpuMillis
    held.memoryMib += placement.perTask.memoryMib
    if (has === undefined) return
    for (const dimension of ['cpuMillis', 'memoryMib'] as const) {
      if (held[dimension] <= has[dimension]) continue
      const text = `${held[dimension]} ${dimension} of ${node} are given, it has ${has[dimension]}`
      tell(`makes it too many: ${text}`)
    }
  }

  freed(placement: Placement, ranks: readonly number[]): void {
    for (const rank of ranks) {
      const node = placement.nodes[rank]
      if (node === undefined || placement.freed.has(rank)) continue
      const held = this.#held(node)
      const mine = (other: Holder | undefined): boolean =>
        other?.placement.seq === placement.seq && other.rank === rank
      for (const device of placement.devices[rank] ?? []) {
        if (mine(held.devices.get(device))) held.devices.delete(device)
      }
      held.cpuMillis -= placement.perTask.cpuMillis
      held.memoryMib -= placement.perTask.memoryMib
      if (rank > 0) continue
      for (const port of placement.ports) {
        if (mine(held.ports.get(port))) held.ports.delete(port)
      }
    }
  }

  settled(): void {
    for (const [node, { devices, cpuMillis, memoryMib }] of this.#nodes) {
      const [first] = devices.values()
      if (first !== undefined) {
        const text = `${devices.size} devices of ${node} are still given away, one of them to`
        this.#alarm(node, `${text} ${holderText(first)}: all of them should be free by now`)
      } else if (cpuMillis !== 0 || memoryMib !== 0) {
        const text = `${cpuMillis} cpuMillis and ${memoryMib} memoryMib of ${node}`
        this.#alarm(node, `${text} are still given away: all should be free by now`)
      }
    }
  }
}

/** Follows what is granted and freed. */
export const devices: WatcherFactory = (init) => {
  const watch = new Devices(init)
  return {
    event(event) {
      const { body } = event
      if (body.is === 'GangPlaced') {
        watch.placed(placementOf(body.value, event), event)
      } else if (body.is === 'DevicesFreed') {
        const placement = init.ledger.placement(body.value)
        if (placement !== undefined) watch.freed(placement, body.value.ranks)
      }
    },
    observe(observation) {
      if (observation.kind === 'settled') watch.settled()
    },
  }
}
