/**
 * What the world itself costs: `node --conditions=sai-source libs/sim/src/world/bench.ts`. Prints
 * processor time (not elapsed time: others may use the machine) per event, per unary call, per
 * stream message and per commit that three readers follow.
 */
import { createWorld } from './index.ts'
import { Echo, startEcho, type Text } from './testing/echo.ts'
import type { ProcessContext, Running, World } from './types.ts'

const SECOND_MS = 1_000
const ADDRESS = { topic: 'serverlessai.log.bench.v1', partition: 0 }

/** Starts a process on a machine of its own. */
function start(world: World, name: string, main: (context: ProcessContext) => Promise<void>): void {
  const begin = (context: ProcessContext): Running => {
    main(context).catch((error: unknown) => process.stderr.write(`${String(error)}\n`))
    return { stop: async () => undefined }
  }
  world.machine(`${name}-machine`).process(name, begin).start()
}

/** Starts so many of the same. */
function startMany(
  world: World,
  count: number,
  main: (context: ProcessContext) => Promise<void>,
): void {
  for (let n = 0; n < count; n += 1) start(world, `p${n}`, main)
}

/** Simulates `seconds` of a world and prints what one of its units cost. */
async function measure(
  name: string,
  build: (world: World, count: () => void) => void,
  seconds: number,
): Promise<void> {
  const world = createWorld({ seed: 1 })
  let units = 0
  build(world, () => {
    units += 1
  })
  await world.time.runUntil(SECOND_MS)
  const before = { units, events: world.time.events }
  const begin = process.cpuUsage()
  await world.time.runUntil(seconds * SECOND_MS)
  const { user, system } = process.cpuUsage(begin)
  const micros = user + system
  const done = units - before.units
  const events = world.time.events - before.events
  const result = {
    bench: name,
    units: done,
    microsPerUnit: Number((micros / done).toFixed(2)),
    eventsPerUnit: Number((events / done).toFixed(1)),
    nanosPerEvent: Math.round((micros * 1000) / events),
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

await measure(
  'timers',
  (world, count) => {
    for (let n = 0; n < 100; n += 1) {
      const ring = (): void => {
        count()
        world.time.after(1 + world.random.float(), ring)
      }
      ring()
    }
  },
  20,
)

await measure(
  'sleeps of processes',
  (world, count) => {
    startMany(world, 100, async ({ ports }) => {
      for (;;) {
        await ports.timers.sleep(1 + ports.randomness.float())
        count()
      }
    })
  },
  20,
)

await measure(
  'unary calls',
  (world, count) => {
    startEcho(world, 'server')
    startMany(world, 20, async ({ transport }) => {
      const client = transport.client(Echo, { address: 'server:7070', token: 'token' })
      for (;;) {
        await client.say({ text: 'hello' })
        count()
      }
    })
  },
  20,
)

await measure(
  'messages of streams, there and back',
  (world, count) => {
    startEcho(world, 'server')
    startMany(world, 20, async ({ transport, ports }) => {
      const client = transport.client(Echo, { address: 'server:7070' })
      const requests = async function* (): AsyncGenerator<Text> {
        for (;;) {
          yield { text: 'beat' }
          await ports.timers.sleep(5)
        }
      }
      for await (const _ of client.chat(requests())) count()
    })
  },
  20,
)

await measure(
  'commits of 1 KiB with three readers',
  (world, count) => {
    const write = async ({ eventLog }: ProcessContext): Promise<void> => {
      const entry = { key: '', headers: {}, value: new Uint8Array(1024) }
      for (;;) {
        await eventLog.append(ADDRESS, [entry])
        count()
      }
    }
    const read = async ({ eventLog }: ProcessContext): Promise<void> => {
      const { signal } = new AbortController()
      for (let from = 0; ; ) {
        const want = { from, maxBytes: 1 << 20, waitMs: 500, signal }
        const { records } = await eventLog.fetch(ADDRESS, want)
        from += records.length
      }
    }
    start(world, 'writer', write)
    startMany(world, 3, read)
  },
  60,
)
