/** What each kind of fault does to whom. */
import type { SeededRandomness } from '@serverless-ai/kernel/testing'
import type { SimNode } from '../plane/types.ts'
import type { FaultKind } from '../scenarios/types.ts'
import type { DiskFaults, SimProcess, World } from '../world/types.ts'
import type { Victims } from './injector.ts'

/** One fault that is about to begin. */
export interface Strike {
  /** Name of the victim, for traces and checkers. */
  readonly target: string
  readonly lastsMs: number
  begin(): void
  end(): void
}

/** Where a fault strikes, and by which chance. */
export interface Where {
  readonly world: World
  readonly victims: Victims
  readonly random: SeededRandomness
}

/** A kind of fault: undefined when there is nobody to hit at the moment. */
type Kind = (where: Where) => Strike | undefined

const between = (random: SeededRandomness, minMs: number, maxMs: number): number =>
  minMs + random.float() * (maxMs - minMs)

const oneOf = <T>(random: SeededRandomness, items: readonly T[]): T | undefined =>
  items.length === 0 ? undefined : random.pick(items)

const running = ({ victims, random }: Where): SimProcess | undefined =>
  oneOf(
    random,
    victims.processes.filter(({ state }) => state === 'running'),
  )

/** A fault of a control-plane process that runs. */
const ofProcess =
  (
    lengthMs: readonly [number, number],
    make: (process: SimProcess, where: Where) => Pick<Strike, 'begin' | 'end'>,
  ): Kind =>
  (where) => {
    const process = running(where)
    if (process === undefined) return undefined
    const lastsMs = between(where.random, ...lengthMs)
    return { target: process.name, lastsMs, ...make(process, where) }
  }

const startIfStopped = (process: SimProcess): void => {
  if (process.state === 'stopped') process.start()
}

/** A fault of a node. */
const ofNode =
  (
    lengthMs: readonly [number, number],
    make: (node: SimNode, lastsMs: number, where: Where) => Pick<Strike, 'begin' | 'end'>,
  ): Kind =>
  (where) => {
    const node = oneOf(where.random, where.victims.nodes)
    if (node === undefined) return undefined
    const lastsMs = between(where.random, ...lengthMs)
    return { target: node.name, lastsMs, ...make(node, lastsMs, where) }
  }

const nothing = (): void => {}

const kill = ofProcess([500, 20_000], (process) => ({
  begin: () => process.kill(),
  end: () => startIfStopped(process),
}))

const crashAtAwait = ofProcess([2_000, 15_000], (process, { random }) => {
  const operations = 1 + random.int(random.chance(0.5) ? 12 : 200)
  const moment = random.chance(0.5) ? 'before' : 'after'
  return {
    begin: () => process.crashAfter(operations, moment),
    end: () => {
      // It may not have come to so many operations: then it lives on.
      process.crashAfter(Number.POSITIVE_INFINITY, moment)
      startIfStopped(process)
    },
  }
})

const restart = ofProcess([500, 5_000], (process) => {
  let stopped = Promise.resolve()
  return {
    begin: () => {
      stopped = process.stop()
    },
    end: () => void stopped.then(() => startIfStopped(process)),
  }
})

const pause = ofProcess([1_000, 25_000], (process) => ({
  begin: () => process.pause(),
  end: () => process.resume(),
}))

/** So often a power loss tears what was not safe yet. */
const TORN_SHARE = 0.5

const powerOff = ofProcess([2_000, 20_000], (process) => ({
  begin: () => process.machine.powerOff(TORN_SHARE),
  end: () => startIfStopped(process),
}))

/** Longer than the retention of a scenario in which events are not kept for ever. */
const serviceAway: Kind = ({ victims, random }) => {
  const service = oneOf(random, [...new Set(victims.processes.map(serviceOf))])
  if (service === undefined) return undefined
  const replicas = victims.processes.filter((process) => serviceOf(process) === service)
  return {
    target: service,
    lastsMs: between(random, 90_000, 240_000),
    begin: () => {
      for (const process of replicas) process.kill()
    },
    end: () => {
      for (const process of replicas) startIfStopped(process)
    },
  }
}

const partition: Kind = (where) => {
  const { random, victims, world } = where
  const one = oneOf(random, victims.processes)
  const other = oneOf(
    random,
    victims.processes.filter((process) => process !== one),
  )
  if (one === undefined || other === undefined) return undefined
  return {
    target: `${one.name}/${other.name}`,
    lastsMs: between(random, 1_000, 40_000),
    begin: () => world.network.partition(one.name, other.name),
    end: () => world.network.heal(one.name, other.name),
  }
}

const logPartition = ofProcess([1_000, 30_000], (process, { world }) => ({
  begin: () => world.network.partition(process.name, 'log'),
  end: () => world.network.heal(process.name, 'log'),
}))

const logStorm = ofProcess([2_000, 20_000], (process, { victims }) => ({
  begin: () =>
    process.setLogFaults({
      sendDelayMs: [0, 40],
      ackDelayMs: [0, 40],
      readDelayMs: [0, 20],
      lostShare: 0.1,
      unknownShare: 0.1,
      lateShare: 0.08,
      duplicateShare: 0.08,
      lateDelayMs: [1, 3_000],
      tornShare: 0.3,
    }),
  end: () => process.setLogFaults(victims.calmLog),
}))

const slowLog = ofProcess([5_000, 40_000], (process, { victims }) => ({
  begin: () => process.setLogFaults({ sendDelayMs: [200, 1_500], ackDelayMs: [0, 200] }),
  end: () => process.setLogFaults(victims.calmLog),
}))

const logFull = ofProcess([1_000, 20_000], (process) => ({
  begin: () => process.setLogFull(true),
  end: () => process.setLogFull(false),
}))

/** Name of the service of a replica. */
const serviceOf = ({ name }: SimProcess): string => name.replace(/-\d+$/, '')

const logDamaged: Kind = ({ victims, random }) => {
  const damaged = victims.processes.filter((process) => process.logDamaged).map(serviceOf)
  const whole = victims.processes.filter((process) => !damaged.includes(serviceOf(process)))
  const process = oneOf(random, whole)
  if (process === undefined) return undefined
  // Nobody mends it: not even the end of all faults.
  return { target: process.name, lastsMs: 0, begin: () => process.damageLog(), end: nothing }
}

const badDiskFaults = (random: SeededRandomness): DiskFaults => ({
  delayMs: [0, 200],
  failShare: 0.2,
  full: random.chance(0.3),
  tornShare: TORN_SHARE,
})

/** Of the store for snapshots, as one replica sees it: all that it has on disks. */
const badDisk = ofProcess([2_000, 30_000], (process, { random }) => {
  const faults = badDiskFaults(random)
  return {
    begin: () => process.setSharedDiskFaults(faults),
    end: () => process.setSharedDiskFaults(undefined),
  }
})

const nodeDisk = ofNode([2_000, 30_000], ({ agent: { machine } }, _lastsMs, { random }) => {
  const faults = badDiskFaults(random)
  return {
    begin: () => machine.setDiskFaults(faults),
    end: () => machine.setDiskFaults(undefined),
  }
})

const networkStorm: Kind = ({ world, random }) => ({
  target: 'network',
  lastsMs: between(random, 2_000, 20_000),
  begin: () =>
    world.network.setDefault({
      delayMs: [0, 400],
      lostShare: 0.08,
      duplicateShare: 0.08,
      resetShare: 0.01,
    }),
  end: () => world.network.setDefault(CALM_LINK),
})

/** Between machines of one room. */
export const CALM_LINK = { delayMs: [0.1, 0.6] } as const

const ofClock =
  (lengthMs: readonly [number, number], change: (where: Where) => [number, number]): Kind =>
  (where) => {
    const machine = oneOf(where.random, where.victims.machines)
    if (machine === undefined) return undefined
    const [skewMs, rate] = change(where)
    return {
      target: machine.name,
      lastsMs: between(where.random, ...lengthMs),
      begin: () => machine.setClock({ skewMs, rate }),
      end: () => machine.setClock({ skewMs: 0, rate: 1 }),
    }
  }

const clockJump = ofClock([5_000, 60_000], ({ random }) => [
  (random.chance(0.5) ? 1 : -1) * between(random, 1_000, random.chance(0.3) ? 600_000 : 20_000),
  1,
])

const clockDrift = ofClock([20_000, 120_000], ({ random }) => [
  0,
  random.chance(0.5) ? 1.039 : 0.961,
])

const agentFlap = ofNode([5_000, 30_000], (node, lastsMs, { world, random }) => {
  const flaps = 2 + random.int(5)
  let over = false
  return {
    begin: () => {
      for (let i = 0; i < flaps; i += 1) {
        world.time.after((i * lastsMs) / flaps, () => {
          if (!over) world.network.reset(node.agent.name)
        })
      }
    },
    end: () => {
      over = true
    },
  }
})

const nodePartition = ofNode([2_000, 60_000], (node, _lastsMs, { world, victims }) => {
  const pools = victims.processes.filter(({ name }) => name.startsWith('pool-manager'))
  return {
    begin: () => {
      for (const pool of pools) world.network.partition(node.agent.name, pool.name)
    },
    end: () => {
      for (const pool of pools) world.network.heal(node.agent.name, pool.name)
    },
  }
})

/** How each kind strikes. */
export const STRIKES: Readonly<Record<FaultKind, Kind>> = {
  kill,
  'crash-at-await': crashAtAwait,
  restart,
  pause,
  'power-off': powerOff,
  partition,
  'log-partition': logPartition,
  'log-storm': logStorm,
  'slow-log': slowLog,
  'log-full': logFull,
  'bad-disk': badDisk,
  'network-storm': networkStorm,
  'clock-jump': clockJump,
  'clock-drift': clockDrift,
  'agent-kill': ofNode([1_000, 1_000], (node) => ({
    begin: () => node.agent.kill(),
    end: nothing,
  })),
  'agent-hang': ofNode([5_000, 60_000], (node) => ({
    begin: () => node.hang(),
    end: () => node.agent.resume(),
  })),
  'agent-flap': agentFlap,
  'supervisor-kill': ofNode([1_000, 10_000], (node) => ({
    begin: () => node.supervisor.kill(),
    end: () => startIfStopped(node.supervisor),
  })),
  'node-power': ofNode([2_000, 60_000], (node, lastsMs) => ({
    begin: () => node.powerCycle(lastsMs, TORN_SHARE),
    end: nothing,
  })),
  'node-partition': nodePartition,
  'late-desired': ofNode([1_000, 1_000], (node, _lastsMs, { random }) => {
    const back = 1 + random.int(8)
    return { begin: () => node.lateDesired(back), end: nothing }
  }),
  'node-disk': nodeDisk,
  'service-away': serviceAway,
  'log-damaged': logDamaged,
}
