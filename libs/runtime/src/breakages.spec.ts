/**
 * What breaks without which rule of the log protocol, as far as the runtime keeps them. Each case
 * shows that the promise holds, and that the same history breaks it when the rule is left out: by a
 * wrapper or an alternative in here, never by a switch in the product.
 */
import {
  AppendOutcomeUnknownError,
  Commit_Kind,
  decodeRecord,
  encodeCommit,
  eventsTopic,
  LogOutOfRangeError,
  logTopic,
} from '@serverless-ai/eventlog'
import { describe, expect, it } from 'vitest'
import { AnswersTable, REQUEST_AGE_MAX_MS, refuseRequestId } from './answers.ts'
import { add, type BankCommand, bank, bankDecider } from './testing/bank.ts'
import { consume, storyOf } from './testing/history.ts'
import { Replicas } from './testing/replicas.ts'
import { withLog } from './testing/with-log.ts'
import { type Process, World } from './testing/world.ts'
import type { Answer, RuntimeEnvironment } from './types.ts'

const log = { topic: logTopic('bank'), partition: 0 }
const events = { topic: eventsTopic('bank'), partition: 0 }

const reasonOf = (promise: Promise<Answer>): Promise<string> =>
  promise.then(
    (answer) => (answer.ok ? 'accepted' : answer.refusal.reason),
    (error) => error.reason,
  )

/**
 * The first append of a commit with events is held back; what `forge` makes of the commit lands in
 * its place.
 */
function overtaken(forge: (bytes: Uint8Array) => Uint8Array): {
  wrap: (environment: RuntimeEnvironment) => RuntimeEnvironment
  arm(): void
} {
  let armed = false
  const wrap = withLog((inner) => ({
    append: async (address, entries) => {
      if (!armed || address.topic !== log.topic) return inner.append(address, entries)
      armed = false
      await inner.append(address, [{ key: '', headers: {}, value: forge(entries[0]!.value) }])
      throw new AppendOutcomeUnknownError('timed out')
    },
  }))
  return {
    wrap,
    arm: () => {
      armed = true
    },
  }
}

/** The commit that a leader would write next after its claim, with other content. */
function otherCommit(world: World, kind: 'normal' | 'yield'): Uint8Array {
  const { state } = storyOf(world, bank())
  const { epoch, nextSequence, chain } = state.arbitration
  const event = { type: 'Added', key: 'other', n: 1 }
  return encodeCommit({
    commitId: Buffer.alloc(16, 7),
    epoch: BigInt(epoch),
    sequence: BigInt(nextSequence),
    prev: Buffer.from(chain),
    kind: kind === 'yield' ? Commit_Kind.YIELD : Commit_Kind.NORMAL,
    atMs: BigInt(world.time.wallMs()),
    inputs: [],
    answers: [],
    events: kind === 'yield' ? [] : [{ type: 'Added', version: 1, data: JSON.stringify(event) }],
    publics: [],
    runtime: [],
  })
}

describe('3. a yield with a commit in flight', () => {
  it('makes that commit void, and nothing of it is published', async () => {
    const world = new World()
    const trick = overtaken(() => otherCommit(world, 'yield'))
    const { runtime } = await world.started(bank(), { wrap: trick.wrap })
    trick.arm()
    const sent = reasonOf(runtime.execute(add('a')))
    expect(await world.run(sent)).toBe('NOT_LEADING')
    await world.time.advance(1000)
    expect(consume(world, 'bank')).toEqual([])
  })

  it('publishes a void event where the publisher takes what was merely sent', async () => {
    const world = new World()
    const trick = overtaken(() => otherCommit(world, 'yield'))
    // The rule left out: public events leave as soon as their commit is sent.
    const eager = withLog((inner) => ({
      append: (address, entries) => {
        if (address.topic === log.topic && storyOf(world, bank()).state.arbitration.epoch > 0) {
          const headers = { ce_id: 'bank/0/1', ce_type: 'bank.v1.Added' }
          void inner.append(events, [{ key: 'a', headers, value: new Uint8Array(0) }])
        }
        return inner.append(address, entries)
      },
    }))
    const wrap = (environment: RuntimeEnvironment): RuntimeEnvironment =>
      eager(trick.wrap(environment))
    const { runtime } = await world.started(bank(), { wrap })
    trick.arm()
    await world.run(reasonOf(runtime.execute(add('a'))))
    await world.time.advance(10)
    expect(storyOf(world, bank()).publics).toEqual([])
    expect(consume(world, 'bank')).not.toEqual([])
  })
})

/** Two processes; the first is paused with a request in flight, the second takes over. */
async function pausedLeader(): Promise<{ world: World; old: Process; next: Process }> {
  const world = new World()
  const old = await world.started(bank(), { replica: 'old' })
  old.log.pause()
  const next = await world.started(bank(), { replica: 'next' })
  return { world, old, next }
}

describe('4. a retry answered from the table of what is in flight', () => {
  it('waits for the log instead, and learns that the first try is void', async () => {
    const { world, old } = await pausedLeader()
    const request = world.request()
    const first = reasonOf(old.runtime.execute(add('a'), request))
    await world.time.advance(10)
    const again = reasonOf(old.runtime.execute(add('a'), request))
    old.log.resume()
    expect(await world.run(Promise.all([first, again]))).toEqual(['NOT_LEADING', 'NOT_LEADING'])
    const { state } = await world.fold(bank())
    expect(state.accounts.get('a')).toBeUndefined()
  })

  it('would acknowledge what is void', async () => {
    const { world, old } = await pausedLeader()
    const request = world.request()
    // The rule left out: what `decide` said is kept and given to whoever asks again.
    const decided = new Map<string, boolean>()
    const { decider } = bank()
    const execute = async (command: BankCommand): Promise<boolean> => {
      const known = decided.get(request.requestId)
      if (known !== undefined) return known
      const decision = decider.decide(command, decider.initial(), { atMs: 0, nonce: '' })
      decided.set(request.requestId, decision.accepted)
      return (await old.runtime.execute(command, request)).ok
    }
    const first = execute(add('a')).catch(() => 'void')
    await world.time.advance(10)
    expect(await execute(add('a'))).toBe(true)
    old.log.resume()
    expect(await world.run(first)).toBe('void')
    const { state } = await world.fold(bank())
    expect(state.accounts.get('a')).toBeUndefined()
  })
})

describe('5. a refusal answered without a commit', () => {
  it('is never given by a paused ex-leader on stale state', async () => {
    const { world, old, next } = await pausedLeader()
    await world.run(next.runtime.execute(add('a', 5)))
    const take = reasonOf(old.runtime.execute({ type: 'Take', key: 'a', n: 5 }))
    await world.time.advance(100)
    old.log.resume()
    expect(await world.run(take)).toBe('NOT_LEADING')
    expect(await world.run(reasonOf(next.runtime.execute({ type: 'Take', key: 'a', n: 5 })))).toBe(
      'accepted',
    )
  })

  it('would contradict what was acknowledged before', async () => {
    const { world, old, next } = await pausedLeader()
    await world.run(next.runtime.execute(add('a', 5)))
    // The rule left out: decided on the state at hand, refused at once.
    const { value } = await world.run(
      old.runtime.read((state) =>
        bankDecider.decide({ type: 'Take', key: 'a', n: 5 }, state, { atMs: 0, nonce: '' }),
      ),
    )
    expect(value).toMatchObject({ accepted: false, refusal: { reason: 'NOT_ENOUGH' } })
  })
})

/** The rule left out: an entry goes when its commit is old. */
class ByCommitTime extends AnswersTable {
  readonly #puts: { id: string; atMs: number }[] = []
  readonly #gone = new Set<string>()
  #atMs = 0

  override prune(atMs: number): void {
    this.#atMs = atMs
    for (const { id, atMs: putMs } of this.#puts) {
      if (atMs - putMs > REQUEST_AGE_MAX_MS - 5 * 60_000) this.#gone.add(id)
    }
  }

  override put(...args: Parameters<AnswersTable['put']>): void {
    this.#puts.push({ id: args[0].requestId, atMs: this.#atMs })
    super.put(...args)
  }

  override get(id: string): ReturnType<AnswersTable['get']> {
    return this.#gone.has(id) ? undefined : super.get(id)
  }
}

/** How often a client that repeats one request every hour for two days is served. */
function timesExecuted(table: AnswersTable): number {
  const world = new World()
  const startMs = world.time.wallMs()
  // The client's clock is a little ahead: its id is from the near future, which is allowed.
  world.time.jumpWall(4 * 60_000)
  const { requestId, bodyHash } = world.request()
  let executed = 0
  for (let atMs = startMs; atMs < startMs + 2 * REQUEST_AGE_MAX_MS; atMs += 60_000) {
    table.prune(atMs)
    if (refuseRequestId(requestId, atMs) !== undefined || table.get(requestId) !== undefined)
      continue
    executed += 1
    table.put({ requestId, bodyHash, outcome: '{}' }, { position: executed, publicSeq: 0 })
  }
  return executed
}

describe('6. request entries', () => {
  it('go by the time of the id: known or too old, never executed twice', () => {
    expect(timesExecuted(new AnswersTable())).toBe(1)
  })

  it('would be executed twice if they went by the time of their commit', () => {
    expect(timesExecuted(new ByCommitTime())).toBeGreaterThan(1)
  })
})

/**
 * A leader that cannot publish, snapshots and trims and dies; the seqs that its successor brings
 * out.
 */
async function publishedAfterTrim(forget: boolean): Promise<number[]> {
  const world = new World()
  const definition = bank()
  const silent = withLog((inner) => ({
    append: (address, entries) =>
      address.topic === events.topic ? new Promise(() => {}) : inner.append(address, entries),
  }))
  const first = await world.started(definition, { wrap: silent })
  await world.run(first.runtime.execute({ type: 'AddMany', key: 'a', count: 4 }))
  await world.run(first.runtime.snapshot())
  await world.run(first.runtime.execute({ type: 'Take', key: 'a', n: 9 }))
  await world.run(first.log.trim(log, first.runtime.status().lastSnapshotPosition + 1))
  first.log.kill()
  // The rule left out: the snapshot that covers the trimmed log knows nothing of the publisher.
  const forgetful = (environment: RuntimeEnvironment): RuntimeEnvironment => {
    const get: typeof environment.snapshots.get = async (...args) => {
      const bytes = await environment.snapshots.get(...args)
      const content = JSON.parse(new TextDecoder().decode(bytes))
      content.framework.unpublished = []
      return new TextEncoder().encode(JSON.stringify(content))
    }
    const list = (...args: Parameters<typeof environment.snapshots.list>) =>
      environment.snapshots.list(...args)
    return { ...environment, snapshots: { ...environment.snapshots, list, get } }
  }
  const second = await world.started(definition, forget ? { wrap: forgetful } : {})
  await world.run(second.runtime.execute(add('b')))
  await world.until(() => second.runtime.status().publishedSeq === 5, 'published')
  return world.publishedSeqs()
}

describe('7. trimming', () => {
  it('loses no public event, even when everything below a snapshot is gone', async () => {
    expect(await publishedAfterTrim(false)).toEqual([1, 2, 3, 4, 5])
  })

  it('would lose those that are not out if the publisher were forgotten', async () => {
    expect(await publishedAfterTrim(true)).toEqual([5])
  })
})

describe('9. publishing', () => {
  const publishOnSlowLog = async (several: boolean): Promise<World> => {
    const world = new World(5)
    let promised = 0
    // The rule left out: a request is said to be done when it is sent, so the next one leaves at
    // once.
    const eager = withLog((inner) => ({
      append: (address, entries) => {
        if (address.topic !== events.topic || !several) return inner.append(address, entries)
        void inner.append(address, entries)
        promised += entries.length
        return Promise.resolve({ position: promised - entries.length })
      },
    }))
    const faults = { sendDelayMs: [0, 50], randomness: world.ports.randomness } as const
    const { runtime } = await world.started(bank(), { wrap: eager, faults })
    for (let i = 0; i < 10; i += 1) await world.run(runtime.execute(add(`k${i}`)))
    await world.time.advance(5000)
    return world
  }

  it('in order, one request in flight: a consumer sees no gap', async () => {
    expect(consume(await publishOnSlowLog(false), 'bank').length).toBe(10)
  })

  it('would show false gaps with several in flight', async () => {
    const world = await publishOnSlowLog(true)
    expect(() => consume(world, 'bank')).toThrow(/gap/)
  })

  const missed = async (seqOnly: boolean): Promise<number> => {
    const world = new World()
    const from = await world.started(bank({ name: 'source' }))
    const sink = bank({ name: 'sink', other: 'source' })
    const first = await world.started(sink)
    const { position } = await world.run(from.runtime.execute(add('a')))
    await world.run(first.runtime.read(() => 0, { minPosition: position }))
    first.log.kill()
    for (const key of ['b', 'c']) await world.run(from.runtime.execute(add(key)))
    await world.time.advance(100)
    const topic = { topic: eventsTopic('source'), partition: 0 }
    await world.run(from.log.trim(topic, 3))
    // The rule left out: without an offset in the mark the reader starts wherever the topic does.
    const clamped = withLog((inner) => ({
      fetch: async (address, want) => {
        try {
          return await inner.fetch(address, want)
        } catch (error) {
          if (!(error instanceof LogOutOfRangeError)) throw error
          return inner.fetch(address, { ...want, from: error.end })
        }
      },
    }))
    const second = await world.started(sink, seqOnly ? { wrap: clamped } : {})
    await world.time.advance(60_000)
    return (await world.run(second.runtime.read((state) => state.seen.size))).value
  }

  it('to a consumer whose mark is (seq, offset): an emptied topic is noticed', async () => {
    expect(await missed(false)).toBe(3)
  })

  it('to a consumer whose mark is seq alone would be missed in silence', async () => {
    expect(await missed(true)).toBe(1)
  })
})

/** Claims in each half of ten quiet minutes of three replicas, after one minute to begin. */
async function claimsWhile(
  options: Omit<ConstructorParameters<typeof Replicas>[0], 'world'>,
): Promise<{ early: number; late: number }> {
  const world = new World()
  const replicas = new Replicas({ world, ...options })
  await replicas.started()
  await world.time.advance(60_000)
  const claims = (): number => storyOf(world, bank()).leaders.length
  const start = claims()
  await world.time.advance(300_000)
  const half = claims()
  await world.time.advance(300_000)
  return { early: half - start, late: claims() - half }
}

describe('12. replicas that watch each other', () => {
  const slow = { sendDelayMs: [4000, 4000] } as const

  it('change nothing while nothing happens, on a slow log too', async () => {
    expect(await claimsWhile({})).toEqual({ early: 0, late: 0 })
    expect(await claimsWhile({ faults: slow })).toEqual({ early: 0, late: 0 })
    // Nor on one that is slow now and then.
    expect((await claimsWhile({ faults: { sendDelayMs: [0, 3000] } })).late).toBe(0)
  })

  it('would duel for ever if an idle leader wrote no ticks', async () => {
    // The rule left out: what has no content never leaves.
    const wrap = withLog((inner) => ({
      append: (address, entries) => {
        const body = address.topic === log.topic ? decodeRecord(entries[0]!.value).body : undefined
        const tick = body?.$case === 'commit' && body.value.kind === Commit_Kind.TICK
        return tick ? new Promise(() => {}) : inner.append(address, entries)
      },
    }))
    expect((await claimsWhile({ wrap })).late).toBeGreaterThan(20)
  })

  it('would duel for ever if one that was fenced claimed at once', async () => {
    // The rule left out: whoever does not lead believes that nobody does.
    const wrap = (environment: RuntimeEnvironment): RuntimeEnvironment => ({
      ...environment,
      leaderHealth: async () => 'refused',
    })
    expect((await claimsWhile({ wrap })).late).toBeGreaterThan(20)
  })

  it('would duel for ever on a slow log if the thresholds were fixed', async () => {
    // The rule left out: an append seems to take no time, however long it takes.
    const wrap = withLog((inner) => ({
      append: (address, entries) => {
        void inner.append(address, entries)
        return Promise.resolve({ position: 0 })
      },
    }))
    expect((await claimsWhile({ faults: slow, wrap })).late).toBeGreaterThan(20)
  })
})

describe('13. health', () => {
  /** The process of the leader starts anew and answers: how long until somebody leads again, ms. */
  const leaderlessMs = async (ofProcess: boolean): Promise<number> => {
    const world = new World()
    // The rule left out: a process that answers is healthy.
    const wrap = (environment: RuntimeEnvironment): RuntimeEnvironment => ({
      ...environment,
      leaderHealth: async (...args) => {
        const answer = await environment.leaderHealth!(...args)
        return ofProcess && answer === 'not-serving' ? 'serving' : answer
      },
    })
    const replicas = new Replicas({ world, wrap, faults: { sendDelayMs: [500, 500] } })
    const leader = await replicas.started()
    await world.time.advance(30_000)
    const claims = storyOf(world, bank()).leaders.length
    replicas.kill(leader)
    const startMs = world.time.nowMs
    replicas.boot(leader.name)
    await world.until(() => storyOf(world, bank()).leaders.length > claims, 'a claim')
    return world.time.nowMs - startMs
  }

  it('is asked of the claim: a process that answers and does not lead is replaced', async () => {
    expect(await leaderlessMs(false)).toBeLessThan(2500)
  })

  it('of the process would leave it leaderless for as long as silence may take', async () => {
    expect(await leaderlessMs(true)).toBeGreaterThan(3500)
  })
})

describe('15. a sequence with other content after an unknown outcome', () => {
  it('is told apart by the commit itself: the batch that lost is not acknowledged', async () => {
    const world = new World()
    const trick = overtaken(() => otherCommit(world, 'normal'))
    const { runtime } = await world.started(bank(), { wrap: trick.wrap })
    trick.arm()
    expect(await world.run(reasonOf(runtime.execute(add('mine'))))).toBe('NOT_LEADING')
    const { state } = await world.fold(bank())
    expect([...state.accounts.keys()]).toEqual(['other'])
  })

  it('would acknowledge the wrong batch if the sequence alone counted', async () => {
    const world = new World()
    const trick = overtaken(() => otherCommit(world, 'normal'))
    let own: Uint8Array | undefined
    // The rule left out: an effective commit of the own epoch and sequence counts as the own one.
    const bySequence = withLog((inner) => ({
      append: (address, entries) => {
        if (address.topic === log.topic) own = entries[0]!.value
        return inner.append(address, entries)
      },
      fetch: async (address, want) => {
        const result = await inner.fetch(address, want)
        const records = result.records.map((record) =>
          address.topic === log.topic && record.position > 0 && own !== undefined
            ? { ...record, value: own }
            : record,
        )
        return { ...result, records }
      },
    }))
    const wrap = (environment: RuntimeEnvironment): RuntimeEnvironment =>
      bySequence(trick.wrap(environment))
    const { runtime } = await world.started(bank(), { wrap })
    trick.arm()
    expect(await world.run(reasonOf(runtime.execute(add('mine'))))).toBe('accepted')
    const { state } = await world.fold(bank())
    expect([...state.accounts.keys()]).toEqual(['other'])
  })
})
