/** One suite for every adapter of the event-log port. Needs vitest; call it from a spec. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LogClosedError } from '../errors.ts'
import { type LogEntry, LogOutOfRangeError, RECORD_MAX_BYTES } from '../port.ts'
import { COMMIT_MAX_BYTES } from '../record.ts'
import { address, Bench, entry, type LogHarness, textOf } from './contract-bench.ts'

export type { LogHarness } from './contract-bench.ts'

import { wideCommit } from './wide-commit.ts'

function appending(bench: () => Bench): void {
  it('gives dense positions from 0', async () => {
    const b = bench()
    expect(await b.run(b.log.range(address))).toEqual({ start: 0, end: 0 })
    for (let n = 0; n < 20; n += 1) {
      const { position } = await b.append([entry(`r${n}`)])
      if (b.harness.exact) expect(position).toBe(n)
    }
    const records = await b.readAll()
    expect(records.map((each) => each.position)).toEqual(records.map((_, index) => index))
    const range = await b.run(b.log.range(address))
    if (b.harness.exact) expect(range).toEqual({ start: 0, end: 20 })
  })

  it('gives 64 concurrent appends 64 distinct positions, each with its own record', async () => {
    const b = bench()
    const texts = Array.from({ length: 64 }, (_, n) => `concurrent ${n}`)
    const acks = await b.appendAll(texts.map((text) => [entry(text)]))
    expect(new Set(acks.map((each) => each.position)).size).toBe(64)
    const records = await b.readAll()
    texts.forEach((text, n) => {
      expect(textOf(records[acks[n]!.position]!)).toBe(text)
    })
    if (b.harness.exact) expect(records).toHaveLength(64)
  })

  it('keeps the order of appends that follow one another', async () => {
    const b = bench()
    for (let n = 0; n < 30; n += 1) await b.append([entry(`${n}`)])
    const seen = [...new Set((await b.readAll()).map(textOf))]
    expect(seen).toEqual(Array.from({ length: 30 }, (_, n) => `${n}`))
  })

  it('appends several entries as one: neighbours in order, never mixed with others', async () => {
    const b = bench()
    const groups = Array.from({ length: 20 }, (_, g) =>
      Array.from({ length: 1 + (g % 5) }, (_unused, n) => entry(`${n}`, `group ${g}`)),
    )
    const acks = await b.appendAll(groups)
    const records = await b.readAll()
    groups.forEach((group, g) => {
      const found = records.slice(acks[g]!.position, acks[g]!.position + group.length)
      expect(found.map((each) => [each.key, textOf(each)])).toEqual(
        group.map((each) => [each.key, textOf(each)]),
      )
    })
    // Copies too come whole: whenever a first entry is there, its group follows.
    records.forEach((record, index) => {
      if (textOf(record) !== '0') return
      const size = groups[Number(record.key.slice(6))]!.length
      const keys = records.slice(index, index + size).map((each) => each.key)
      expect(keys).toEqual(new Array(size).fill(record.key))
    })
  })

  it('keeps topics and partitions apart', async () => {
    const b = bench()
    const others = [
      { topic: address.topic, partition: 1 },
      { topic: 'serverlessai.events.contract.v1', partition: 0 },
    ]
    await b.append([entry('here')])
    for (const other of others) {
      const { position } = await b.append([entry(`${other.topic}/${other.partition}`)], other)
      if (b.harness.exact) expect(position).toBe(0)
      const records = await b.readAll(1 << 20, undefined, other)
      expect(new Set(records.map(textOf))).toEqual(new Set([`${other.topic}/${other.partition}`]))
    }
    expect(new Set((await b.readAll()).map(textOf))).toEqual(new Set(['here']))
  })

  it('refuses what is no address or no entry', async () => {
    const b = bench()
    const bad = [
      { topic: '', partition: 0 },
      { topic: 'a/b', partition: 0 },
      { topic: 'ok', partition: -1 },
      { topic: 'ok', partition: 0.5 },
    ]
    for (const each of bad) {
      await expect(b.run(b.log.append(each, [entry('x')]))).rejects.toThrow(RangeError)
    }
    await expect(b.run(b.log.append(address, []))).rejects.toThrow(RangeError)
  })
}

function content(bench: () => Bench): void {
  it('gives back keys, headers and values as they were', async () => {
    const b = bench()
    const given: LogEntry[] = [
      { key: '', headers: {}, value: new Uint8Array(0) },
      { key: 'job-1', headers: { ce_id: 'scheduler/0/1' }, value: Buffer.from([0, 255, 128]) },
      { key: 'Schlüssel 鍵 🔑', headers: { a: '', 'ü "quoted"\n': '\\' }, value: Buffer.from('x') },
    ]
    const { position } = await b.append(given)
    const records = (await b.readAll()).slice(position, position + 3)
    records.forEach((record, index) => {
      const { key, headers, value } = given[index]!
      expect({ ...record, value: [...record.value] }).toEqual({
        key,
        headers: { ...headers },
        value: [...value],
        position: position + index,
      })
    })
  })

  it('keeps what was appended when the caller uses its buffer again', async () => {
    const b = bench()
    const value = Buffer.from('first')
    const { position } = await b.append([{ key: '', headers: {}, value }])
    value.fill(0)
    expect(textOf((await b.readAll())[position]!)).toBe('first')
    expect(value.byteLength).toBe(5)
  })

  it('carries a commit of nearly 4 MiB with columns of 16,384 devices', async () => {
    const b = bench()
    const bytes = wideCommit(16_384)
    expect(bytes.byteLength).toBeGreaterThan(COMMIT_MAX_BYTES * 0.9)
    expect(bytes.byteLength).toBeLessThanOrEqual(COMMIT_MAX_BYTES)
    const { position } = await b.append([{ key: '', headers: {}, value: bytes }])
    await b.append([entry('behind it')])
    const record = (await b.readAll())[position]!
    expect(Buffer.compare(record.value, bytes)).toBe(0)
  })

  it('takes a record of the largest size and refuses a larger one', async () => {
    const b = bench()
    const largest = { key: '', headers: {}, value: new Uint8Array(RECORD_MAX_BYTES).fill(7) }
    const { position } = await b.append([largest])
    expect((await b.readAll())[position]!.value.byteLength).toBe(RECORD_MAX_BYTES)
    const { end } = await b.run(b.log.range(address))
    const tooLarge = { ...largest, value: new Uint8Array(RECORD_MAX_BYTES + 1) }
    const refused = b.run(b.log.append(address, [entry('with it'), tooLarge]))
    await expect(refused).rejects.toMatchObject({
      name: 'AppendRefusedError',
      code: 'RECORD_TOO_LARGE',
    })
    if (b.harness.exact) expect((await b.run(b.log.range(address))).end).toBe(end)
  })

  it('returns no more bytes than asked for, but always a record', async () => {
    const b = bench()
    await b.append(Array.from({ length: 10 }, (_, n) => entry(`${n}`.repeat(100))))
    for (const [maxBytes, most] of [
      [1, 1],
      [250, 2],
      [300, 3],
    ] as const) {
      const result = await b.run(b.log.fetch(address, { from: 0, maxBytes, waitMs: 0 }))
      expect(result.records.length).toBeGreaterThan(0)
      expect(result.records.length).toBeLessThanOrEqual(most)
      if (b.harness.exact) expect(result.records).toHaveLength(most)
    }
    const [one, whole] = [await b.readAll(1), await b.readAll()]
    expect(one.map((each) => each.position)).toEqual(whole.map((each) => each.position))
  })
}

function waiting(bench: () => Bench): void {
  it('returns nothing after the wait when nothing comes', async () => {
    const b = bench()
    const result = await b.run(b.fetch(0, 20))
    expect(result).toEqual({ records: [], start: 0, end: 0 })
  })

  it('answers readers that wait as soon as a record is there', async () => {
    const b = bench()
    await b.append([entry('before')])
    const { end } = await b.run(b.log.range(address))
    const waiting = Promise.all([b.fetch(end, 3_600_000), b.fetch(end, 3_600_000)])
    await b.append([entry('awaited')])
    for (const result of await b.run(waiting)) {
      expect(result.records[0]!.position).toBe(end)
      expect(result.end).toBeGreaterThan(end)
    }
  })

  it('does not wake for another partition', async () => {
    const b = bench()
    const waiting = b.fetch(0, 100)
    await b.append([entry('elsewhere')], { topic: address.topic, partition: 1 })
    expect((await b.run(waiting)).records).toEqual([])
  })

  it("rejects with the signal's reason when aborted, before and during the wait", async () => {
    const b = bench()
    const abort = new AbortController()
    const waiting = b.fetch(0, 3_600_000, abort.signal)
    const caught = expect(waiting).rejects.toThrow('enough')
    await b.append([entry('elsewhere')], { topic: address.topic, partition: 1 })
    abort.abort(new Error('enough'))
    await caught
    await expect(b.run(b.fetch(0, 0, abort.signal))).rejects.toThrow('enough')
  })
}

function ranges(bench: () => Bench): void {
  it('rejects reads beyond the end', async () => {
    const b = bench()
    await b.append([entry('a')])
    const { end } = await b.run(b.log.range(address))
    const beyond = b.run(b.fetch(end + 1, 0))
    await expect(beyond).rejects.toThrow(LogOutOfRangeError)
    await expect(b.run(b.fetch(-1, 0))).rejects.toThrow(LogOutOfRangeError)
    expect((await b.run(b.fetch(end, 0))).records).toEqual([])
  })

  it('removes what is trimmed and nothing else, and keeps counting', async () => {
    const b = bench()
    for (let n = 0; n < 10; n += 1) await b.append([entry(`${n}`)])
    const before = await b.readAll()
    await b.run(b.log.trim(address, 4))
    expect((await b.run(b.log.range(address))).start).toBe(4)
    for (const from of [0, 3]) {
      await expect(b.run(b.fetch(from, 0))).rejects.toMatchObject({
        name: 'LogOutOfRangeError',
        start: 4,
      })
    }
    const after = await b.readAll()
    const kept = before.slice(4).map((each) => [each.position, textOf(each)])
    const found = after.map((each) => [each.position, textOf(each)])
    expect(found.slice(0, kept.length)).toEqual(kept)
    await b.run(b.log.trim(address, 2))
    expect((await b.run(b.log.range(address))).start).toBe(4)
  })

  it('trims everything and goes on at the next position', async () => {
    const b = bench()
    for (let n = 0; n < 5; n += 1) await b.append([entry(`${n}`)])
    const { end } = await b.run(b.log.range(address))
    await b.run(b.log.trim(address, end + 100))
    const range = await b.run(b.log.range(address))
    if (b.harness.exact) expect(range).toEqual({ start: end, end })
    const { position } = await b.append([entry('next')])
    expect(position).toBeGreaterThanOrEqual(end)
    if (b.harness.exact) expect(position).toBe(end)
    expect((await b.readAll()).map(textOf)).toContain('next')
  })
}

function changing(bench: () => Bench): void {
  it('raises for readers that retention has overtaken, and moves none of them', async () => {
    const b = bench()
    for (let n = 0; n < 10; n += 1) await b.append([entry(`${n}`)])
    const before = await b.readAll()
    b.log = await b.harness.outside.expire(b.log, 4)
    for (const from of [0, 3]) {
      await expect(b.run(b.fetch(from, 3_600_000))).rejects.toMatchObject({
        name: 'LogOutOfRangeError',
        start: 4,
      })
    }
    const kept = (await b.readAll(1 << 20, 4)).slice(0, before.length - 4)
    expect(kept.map((each) => [each.position, textOf(each)])).toEqual(
      before.slice(4).map((each) => [each.position, textOf(each)]),
    )
    expect((await b.run(b.log.range(address))).start).toBe(4)
  })

  it('raises for readers beyond the end of an older copy, and goes on at that end', async () => {
    const b = bench()
    for (let n = 0; n < 10; n += 1) await b.append([entry(`${n}`)])
    const before = await b.readAll()
    b.log = await b.harness.outside.restore(b.log, 6)
    const end = await b.settledEnd()
    if (b.harness.exact) expect(end).toBe(6)
    const beyond = b.run(b.fetch(end + 1, 3_600_000))
    await expect(beyond).rejects.toMatchObject({ name: 'LogOutOfRangeError', start: 0, end })
    expect((await b.readAll()).slice(0, 6).map(textOf)).toEqual(before.slice(0, 6).map(textOf))
    const { position } = await b.append([entry('next')])
    expect(position).toBeGreaterThanOrEqual(end)
    if (b.harness.exact) expect(position).toBe(6)
    expect(textOf((await b.readAll())[position]!)).toBe('next')
  })
}

function closing(bench: () => Bench): void {
  it('ends waiting reads and refuses everything once closed', async () => {
    const b = bench()
    const waiting = expect(b.fetch(0, 3_600_000)).rejects.toThrow(LogClosedError)
    await b.run(b.log.range(address))
    await b.run(b.log.close())
    await waiting
    await expect(b.run(b.log.append(address, [entry('x')]))).rejects.toMatchObject({
      code: 'CLOSED',
    })
    await expect(b.run(b.fetch(0, 0))).rejects.toThrow(LogClosedError)
    await b.run(b.log.close())
  })

  it('holds the same after it was closed and opened again', async () => {
    const b = bench()
    for (let n = 0; n < 12; n += 1) await b.append([entry(`${n}`, `key ${n}`)])
    await b.run(b.log.trim(address, 5))
    const before = await b.readAll()
    await b.run(b.log.close())
    b.log = await b.harness.reopen()
    const { start, end } = await b.run(b.log.range(address))
    if (b.harness.exact) expect([start, end]).toEqual([5, 12])
    const after = (await b.readAll()).slice(0, before.length)
    expect(after.map((each) => [each.position, each.key, textOf(each)])).toEqual(
      before.map((each) => [each.position, each.key, textOf(each)]),
    )
    await b.run(b.log.trim(address, end))
    await b.run(b.log.close())
    b.log = await b.harness.reopen()
    const { position } = await b.append([entry('next')])
    expect(position).toBeGreaterThanOrEqual(end)
    if (b.harness.exact) expect(position).toBe(end)
  })
}

/** Runs the contract of the event-log port against an adapter. */
export function eventLogContract(name: string, make: () => LogHarness | Promise<LogHarness>): void {
  describe(`event log contract: ${name}`, () => {
    let current: Bench | undefined
    const bench = (): Bench => current!
    // A log per test: none sees what another left.
    const prepared = (suite: (bench: () => Bench) => void) => () => {
      beforeEachBench(make, (made) => {
        current = made
      })
      suite(bench)
    }
    afterEach(async () => {
      const done = current
      current = undefined
      await done?.run(done.log.close())
      await done?.harness.dispose?.()
    })
    describe('appends', prepared(appending))
    describe('content', prepared(content))
    describe('waits', prepared(waiting))
    describe('ranges', prepared(ranges))
    describe('changes from outside', prepared(changing))
    describe('closing', prepared(closing))
  })
}

function beforeEachBench(
  make: () => LogHarness | Promise<LogHarness>,
  take: (bench: Bench) => void,
): void {
  beforeEach(async () => {
    const bench = new Bench(await make())
    bench.log = await bench.harness.open()
    take(bench)
  })
}
