import { describe, expect, it } from 'vitest'
import { type BankCommand, bank } from './testing/bank.ts'
import { checkHistory } from './testing/history.ts'
import { type Bank, World } from './testing/world.ts'
import type { Answer, RuntimeEnvironment } from './types.ts'

/**
 * Counts every await on the outside world and lets the process die at one of them: before it is
 * sent, or before its outcome is known.
 */
class Killer {
  calls = 0
  dead = false
  readonly at: number
  readonly when: 'before' | 'after'
  kill: () => void = () => {}

  constructor(at: number, when: 'before' | 'after') {
    this.at = at
    this.when = when
  }

  wrap<T extends object>(port: T): T {
    return new Proxy(port, {
      get: (target, name) => {
        const value = Reflect.get(target, name)
        if (typeof value !== 'function') return value
        return (...args: unknown[]) => this.#call(() => value.apply(target, args))
      },
    })
  }

  async #call(call: () => unknown): Promise<unknown> {
    this.calls += 1
    const fatal = this.calls === this.at
    if (this.dead || (fatal && this.when === 'before')) return this.#die()
    const result = await call()
    return this.dead || fatal ? this.#die() : result
  }

  #die(): Promise<never> {
    this.dead = true
    this.kill()
    return new Promise(() => {})
  }

  environment(environment: RuntimeEnvironment): RuntimeEnvironment {
    const { eventLog, snapshots, feed } = environment
    const wrapped = this.wrap({ feed })
    return {
      ...environment,
      eventLog: this.wrap(eventLog),
      snapshots: this.wrap(snapshots),
      feed: wrapped.feed,
    }
  }
}

const REQUESTS: readonly BankCommand[] = [
  { type: 'Add', key: 'a', n: 1 },
  { type: 'Call', key: 'c' },
  { type: 'Take', key: 'a', n: 50 },
  { type: 'Remind', key: 'r', dueMs: 1_700_000_000_200 },
  { type: 'AddMany', key: 'm', count: 3 },
]

/**
 * The life of a small bank, with one death in it. Returns whether the process came to its end
 * undisturbed.
 */
async function live(at: number, when: 'before' | 'after'): Promise<boolean> {
  const world = new World(at)
  const killer = new Killer(at, when)
  const answers = new Map<string, Answer>()
  const definition = bank({
    perform: async ({ payload }) => ({ type: 'Called', key: (payload as { to: string }).to }),
  })
  const options = { snapshotEveryCommits: 3 }
  const requests = REQUESTS.map((command) => ({ command, ...world.request() }))
  const work = async (runtime: Bank): Promise<void> => {
    await runtime.start()
    for (const { command, requestId, bodyHash } of requests) {
      const answer = await runtime.execute(command, { requestId, bodyHash })
      const first = answers.get(requestId) ?? answer
      expect(answer).toEqual(first)
      answers.set(requestId, first)
      await runtime.confirm()
    }
    await world.time.sleep(300)
    await runtime.stop()
  }
  const first = world.process(definition, { options, wrap: (env) => killer.environment(env) })
  killer.kill = () => first.log.kill()
  let finished = false
  void work(first.runtime).then(() => {
    finished = true
  })
  await world.until(() => finished || killer.dead, 'the end or the death', 60_000)
  const second = world.process(definition, { options })
  await world.run(work(second.runtime))
  const third = await world.started(definition, { options })
  const story = checkHistory(world, definition, { answers, reads: [] })
  expect(answers.size).toBe(REQUESTS.length)
  const { state } = await world.fold(definition)
  expect([...state.accounts]).toEqual([
    ['a', 1],
    ['m', 3],
  ])
  expect(state.calls).toEqual(['start c', 'end c'])
  expect(state.reminders).toEqual(['set r', 'rang r'])
  const served = await world.run(third.runtime.digest())
  expect(served.digest).toBe((await world.fold(definition)).digest)
  expect(served.digest).toBe((await world.fold(definition, { snapshots: true })).digest)
  await world.until(() => world.publishedSeqs().length >= story.publics.length, 'published')
  checkHistory(world, definition, { answers, reads: [] })
  return finished
}

describe('a process that dies', () => {
  it.each(['before', 'after'] as const)(
    'at any await, %s it happened: nothing is lost, nothing happens twice',
    async (when) => {
      let at = 1
      while (!(await live(at, when))) {
        at += 1
        expect(at).toBeLessThan(400)
      }
      expect(at).toBeGreaterThan(40)
    },
  )
})
