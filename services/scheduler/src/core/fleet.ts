import { invariant } from '@serverless-ai/kernel'
import { BlockBounds } from './block-bounds.ts'
import { FreeIndex } from './free-index.ts'
import { Ports } from './ports.ts'
import type { NodeFacts, NodeState, Resources } from './types.ts'
import { NODE_DEVICES_MAX } from './types.ts'

const PRESENT = 1
const HEALTHY = 2
const HELD = 4
const STATES: readonly NodeState[] = ['Ready', 'Disconnected', 'Lost']
const READY = 0

/**
 * Index into {@link Fleet.pools} that stands for "no device needed": every ready node, by free
 * devices of any model.
 */
export const ANY = -1

/**
 * Nodes × devices in typed arrays with what is held on them. A node keeps its index for life. Costs
 * follow the change: taking or giving devices touches one node and a few bits.
 */
export class Fleet {
  readonly ids: string[] = []
  readonly facts: NodeFacts[] = []
  readonly ports = new Ports()
  readonly bounds = new BlockBounds()
  /** Names of device models by model index, in order of first appearance. */
  readonly models: string[] = []
  /** Per model: ready nodes by free devices of that model (nodes with none are left out). */
  readonly pools: FreeIndex[] = []
  readonly ready: FreeIndex
  /** Grows whenever something may fit that did not before. */
  gains = 0
  /** Grows with every change. */
  version = 0
  /** Sums over all known nodes. */
  totals: Resources = { devices: 0, cpuMillis: 0, memoryMib: 0 }
  readyNodes = 0
  /**
   * By shape: can the gang never fit? Forgotten when a node changes; a memory, no part of the
   * state.
   */
  readonly verdicts = new Map<string, boolean>()

  #capacity = 64
  readonly #index = new Map<string, number>()
  readonly #modelIndex = new Map<string, number>()
  #state = new Uint8Array(64)
  #cpuTotal = new Float64Array(64)
  #cpuHeld = new Float64Array(64)
  #memoryTotal = new Float64Array(64)
  #memoryHeld = new Float64Array(64)
  #deviceStart = new Uint32Array(64)
  #deviceCount = new Uint16Array(64)
  #deviceModel = new Uint16Array(512)
  #deviceFlags = new Uint8Array(512)
  #devicesUsed = 0
  /** Per node: distinct models it ever had. */
  readonly #modelsOf: number[][] = []
  /** Per node: devices of each of those models, broken ones too. */
  readonly #totalsOf: number[][] = []

  constructor() {
    this.ready = new FreeIndex(this.#capacity)
  }

  get size(): number {
    return this.ids.length
  }
  indexOf(nodeId: string): number | undefined {
    return this.#index.get(nodeId)
  }
  stateOf(node: number): NodeState {
    return STATES[this.#state[node]!]!
  }
  isReady(node: number): boolean {
    return this.#state[node] === READY
  }
  cpuFree(node: number): number {
    return this.#cpuTotal[node]! - this.#cpuHeld[node]!
  }
  memoryFree(node: number): number {
    return this.#memoryTotal[node]! - this.#memoryHeld[node]!
  }
  pool(model: number): FreeIndex {
    return model === ANY ? this.ready : this.pools[model]!
  }

  /** Free devices of a model (any = all) on a ready node; 0 on others. */
  devicesFree(node: number, model: number): number {
    return Math.max(0, this.pool(model).get(node))
  }

  /** Devices of a model that the node has when empty, broken ones too. */
  devicesTotal(node: number, model: number): number {
    const at = this.#modelsOf[node]!.indexOf(model)
    return at < 0 ? 0 : this.#totalsOf[node]![at]!
  }

  /** True when the device is held by a task. */
  isHeld(node: number, device: number): boolean {
    return (this.#deviceFlags[this.#deviceStart[node]! + device]! & HELD) !== 0
  }

  /** Sets a node's facts; what is held on it stays held. */
  setNode(facts: NodeFacts): void {
    const node = this.#index.get(facts.nodeId) ?? this.#add(facts.nodeId)
    const before = this.facts[node]
    if (before !== undefined) this.#count(before, -1)
    this.facts[node] = facts
    this.#count(facts, 1)
    this.#state[node] = STATES.indexOf(facts.state)
    this.#cpuTotal[node] = facts.cpuMillis
    this.#memoryTotal[node] = facts.memoryMib
    this.ports.setRange(node, facts.portFirst, facts.portLast)
    this.#setDevices(node, facts)
    this.gains++
    this.verdicts.clear()
    this.#refresh(node)
  }

  setState(node: number, state: NodeState): void {
    const facts = this.facts[node]
    invariant(facts !== undefined, `state of unknown node ${node}`)
    this.setNode({ ...facts, state })
  }

  /** Holds resources of one or more tasks on a node. Throws when a device is held already. */
  take(node: number, devices: readonly number[], each: Resources, tasks: number): void {
    // A device that is held may have vanished from the inventory since.
    for (const device of devices) this.#makeRoom(node, device + 1)
    const start = this.#deviceStart[node]!
    for (const device of devices) {
      const flags = this.#deviceFlags[start + device]!
      invariant((flags & HELD) === 0, `device ${device} of ${this.ids[node]} is held twice`)
      this.#deviceFlags[start + device] = flags | HELD
    }
    this.#cpuHeld[node] = this.#cpuHeld[node]! + each.cpuMillis * tasks
    this.#memoryHeld[node] = this.#memoryHeld[node]! + each.memoryMib * tasks
    this.#refresh(node)
  }

  /** Undoes {@link take}. */
  give(node: number, devices: readonly number[], each: Resources, tasks: number): void {
    const start = this.#deviceStart[node]!
    for (const device of devices) {
      const flags = this.#deviceFlags[start + device]!
      invariant((flags & HELD) !== 0, `device ${device} of ${this.ids[node]} is freed twice`)
      this.#deviceFlags[start + device] = flags & ~HELD
    }
    this.#cpuHeld[node] = this.#cpuHeld[node]! - each.cpuMillis * tasks
    this.#memoryHeld[node] = this.#memoryHeld[node]! - each.memoryMib * tasks
    invariant(this.#cpuHeld[node]! >= 0 && this.#memoryHeld[node]! >= 0, 'freed more than held')
    this.gains++
    this.#refresh(node)
  }

  /** The lowest free healthy devices of a model. The caller knows that there are enough. */
  pickDevices(node: number, model: number, count: number): number[] {
    const start = this.#deviceStart[node]!
    const picked: number[] = []
    for (let device = 0; picked.length < count; device++) {
      invariant(device < this.#deviceCount[node]!, 'fewer free devices than the index says')
      const at = start + device
      if (this.#deviceFlags[at] === (PRESENT | HEALTHY) && this.#deviceModel[at] === model) {
        picked.push(device)
      }
    }
    return picked
  }

  /** Makes the bounds of 32 nodes exact again, after a search in vain. */
  tightenBlock(word: number): void {
    this.bounds.reset(word)
    const end = Math.min(this.ids.length, (word + 1) << 5)
    for (let node = word << 5; node < end; node++) {
      if (this.#state[node] !== READY) continue
      this.bounds.raise(node, this.cpuFree(node), this.memoryFree(node))
    }
  }

  #add(nodeId: string): number {
    const node = this.ids.length
    if (node === this.#capacity) this.#grow()
    this.ids.push(nodeId)
    this.#index.set(nodeId, node)
    this.#modelsOf.push([])
    this.#totalsOf.push([])
    return node
  }

  #grow(): void {
    this.#capacity *= 2
    const wider = <T extends { set(from: T): void; length: number }>(make: T, from: T): T => {
      make.set(from)
      return make
    }
    const size = this.#capacity
    this.#state = wider(new Uint8Array(size), this.#state)
    this.#cpuTotal = wider(new Float64Array(size), this.#cpuTotal)
    this.#cpuHeld = wider(new Float64Array(size), this.#cpuHeld)
    this.#memoryTotal = wider(new Float64Array(size), this.#memoryTotal)
    this.#memoryHeld = wider(new Float64Array(size), this.#memoryHeld)
    this.#deviceStart = wider(new Uint32Array(size), this.#deviceStart)
    this.#deviceCount = wider(new Uint16Array(size), this.#deviceCount)
    this.bounds.grow(size)
    for (const pool of [this.ready, ...this.pools]) pool.grow(size)
  }

  #count(facts: NodeFacts, sign: 1 | -1): void {
    const { devices, cpuMillis, memoryMib } = this.totals
    this.totals = {
      devices: devices + sign * facts.devices.length,
      cpuMillis: cpuMillis + sign * facts.cpuMillis,
      memoryMib: memoryMib + sign * facts.memoryMib,
    }
    if (facts.state === 'Ready') this.readyNodes += sign
  }

  /** A device that vanished while it is held stays known until it is given back. */
  #setDevices(node: number, facts: NodeFacts): void {
    invariant(facts.devices.length <= NODE_DEVICES_MAX, `too many devices on ${facts.nodeId}`)
    this.#makeRoom(node, facts.devices.length)
    const start = this.#deviceStart[node]!
    const count = this.#deviceCount[node]!
    for (let device = 0; device < count; device++) {
      const held = this.#deviceFlags[start + device]! & HELD
      const known = facts.devices[device]
      this.#deviceFlags[start + device] =
        held | (known === undefined ? 0 : PRESENT) | (known?.healthy ? HEALTHY : 0)
      if (known !== undefined) this.#deviceModel[start + device] = this.#model(known.model, node)
    }
    this.#totalsOf[node] = this.#modelsOf[node]!.map((model) => {
      const name = this.models[model]
      return facts.devices.filter((device) => device.model === name).length
    })
  }

  #makeRoom(node: number, count: number): void {
    const had = this.#deviceCount[node]!
    if (count <= had) return
    const from = this.#deviceStart[node]!
    const start = this.#reserve(count)
    this.#deviceFlags.copyWithin(start, from, from + had)
    this.#deviceModel.copyWithin(start, from, from + had)
    this.#deviceStart[node] = start
    this.#deviceCount[node] = count
  }

  #reserve(count: number): number {
    const start = this.#devicesUsed
    this.#devicesUsed += count
    while (this.#devicesUsed > this.#deviceFlags.length) {
      const model = new Uint16Array(this.#deviceModel.length * 2)
      model.set(this.#deviceModel)
      this.#deviceModel = model
      const flags = new Uint8Array(this.#deviceFlags.length * 2)
      flags.set(this.#deviceFlags)
      this.#deviceFlags = flags
    }
    return start
  }

  #model(name: string, node: number): number {
    let model = this.#modelIndex.get(name)
    if (model === undefined) {
      model = this.models.length
      this.models.push(name)
      this.pools.push(new FreeIndex(this.#capacity))
      this.#modelIndex.set(name, model)
    }
    const models = this.#modelsOf[node]!
    if (!models.includes(model)) models.push(model)
    return model
  }

  /** Files the node anew after any change of it. */
  #refresh(node: number): void {
    this.version++
    const ready = this.#state[node] === READY
    const start = this.#deviceStart[node]!
    const end = start + this.#deviceCount[node]!
    let all = 0
    for (const model of this.#modelsOf[node]!) {
      let free = 0
      for (let i = start; i < end; i++) {
        if (this.#deviceFlags[i] === (PRESENT | HEALTHY) && this.#deviceModel[i] === model) free++
      }
      all += free
      this.pools[model]!.set(node, ready && free > 0 ? free : -1)
    }
    this.ready.set(node, ready ? all : -1)
    if (ready) this.bounds.raise(node, this.cpuFree(node), this.memoryFree(node))
  }
}
