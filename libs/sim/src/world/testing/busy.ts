/** A world in which much happens at once, for specs. */
import type { ClientOf } from '@serverless-ai/kernel'
import { createWorld } from '../index.ts'
import type { ProcessContext, Running, SimProcess, TraceEntry, World } from '../types.ts'
import { Echo, startEcho, type Text } from './echo.ts'

const ADDRESS = { topic: 'serverlessai.log.busy.v1', partition: 0 }
const SERVERS = ['s1', 's2', 's3'] as const

/** Does things in a random order, for ever: calls, streams, log, disk, timers. */
async function busy({ ports, transport, eventLog, sharedDisk }: ProcessContext): Promise<never> {
  const { timers, randomness, disk, logger } = ports
  const int = (below: number): number => Math.floor(randomness.float() * below)
  const client = (): ClientOf<typeof Echo> =>
    transport.client(Echo, { address: `${SERVERS[int(SERVERS.length)]}:7070` })
  async function* requests(): AsyncGenerator<Text> {
    for (let n = int(50); n > 0; n -= 1) {
      await timers.sleep(int(200))
      yield { text: `${n}` }
    }
  }
  const acts: (() => Promise<unknown>)[] = [
    () => client().say({ text: `${int(1_000)}` }, { timeoutMs: 1_000 }),
    async () => {
      for await (const { text } of client().chat(requests())) logger.log('debug', text)
    },
    () =>
      eventLog.append(ADDRESS, [
        { key: '', headers: {}, value: ports.randomness.bytes(int(100) + 1) },
      ]),
    async () => {
      const { end } = await eventLog.range(ADDRESS)
      const from = int(end + 1)
      return eventLog.fetch(ADDRESS, { from, maxBytes: 1_000, waitMs: int(500) })
    },
    () => disk.append(`/f${int(5)}`, randomness.bytes(int(20)), { sync: int(2) === 0 }),
    () => disk.writeAtomic(`/f${int(5)}`, randomness.bytes(int(20))),
    () => sharedDisk.append('/s', randomness.bytes(1)),
    () => disk.remove(`/f${int(5)}`),
  ]
  for (;;) {
    acts[int(acts.length)]!().then(
      () => logger.log('debug', 'done'),
      (error: unknown) => logger.log('info', 'failed', { error }),
    )
    await timers.sleep(randomness.float() * 20)
  }
}

/** Injects every kind of fault, for ever. */
function disturb(world: World, victims: readonly SimProcess[]): void {
  const { random, network, time } = world
  const name = (): string => random.pick(victims).name
  const share = (): number => random.float() * 0.2
  const acts: (() => void)[] = [
    () => random.pick(victims).kill(),
    () => random.pick(victims).pause(),
    () => random.pick(victims).machine.powerOff(),
    () => void random.pick(victims).stop(),
    () => random.pick(victims).crashAfter(1 + random.int(30), random.pick(['before', 'after'])),
    () => random.pick(victims).setLogFaults({ sendDelayMs: [0, 30], lostShare: share() }),
    () => random.pick(victims).setLogFull(random.chance(0.2)),
    () => network.partition(name(), name()),
    () => network.partition(name(), random.pick(['log', '*'])),
    () => network.reset(name()),
    () => network.healAll(),
    () =>
      network.setBetween(name(), name(), {
        delayMs: [0, 100],
        lostShare: share(),
        duplicateShare: share(),
        resetShare: share(),
      }),
    () =>
      random.pick(victims).machine.setDiskFaults({
        delayMs: [0, 10],
        failShare: share(),
        full: random.chance(0.2),
        tornShare: share(),
      }),
    () =>
      random.pick(victims).machine.setClock({
        skewMs: random.int(10_000) - 5_000,
        rate: 0.96 + random.float() * 0.08,
      }),
  ]
  let strikes = 0
  const strike = (): void => {
    acts[strikes % acts.length]!()
    strikes += 1
    // What is down or stands still goes on sooner or later.
    const victim = random.pick(victims)
    victim.resume()
    victim.start()
    time.after(random.float() * 200, strike)
  }
  strike()
}

/** Lets a busy world go on for `ms`; what came of it. */
export async function runBusyWorld(
  seed: number,
  ms: number,
  onEntry?: (entry: TraceEntry) => void,
): Promise<World> {
  const world = createWorld({ seed, ...(onEntry === undefined ? {} : { onEntry }) })
  const victims = SERVERS.map((name) => startEcho(world, name).process)
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    const main = (context: ProcessContext): Running => {
      void busy(context)
      return { stop: () => context.ports.timers.sleep(10) }
    }
    const process = world.machine(`${name}-machine`).process(name, main)
    process.start()
    victims.push(process)
  }
  disturb(world, victims)
  await world.time.runUntil(ms)
  return world
}
