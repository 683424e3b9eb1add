import { seededRandomness } from '@serverless-ai/kernel/testing'
import { describe, expect, it } from 'vitest'
import {
  cutRequests,
  judge,
  Latency,
  LLAMA2_70B_A100,
  LLAMA2_70B_H100,
  MAX_BATCH,
  type Requests,
  readAzureLlm,
  readFunctionCalls,
  readMooncake,
  rescale,
  type ServeInit,
  SPLITWISE_OBJECTIVE,
  serve,
  slowdownOf,
  toRequests,
} from './index.ts'

const h100 = new Latency(LLAMA2_70B_H100)
const a100 = new Latency(LLAMA2_70B_A100)

/** Poisson arrivals of one size. */
function poisson(perS: number, seconds: number, input = 1_000, output = 100): Requests {
  const dice = seededRandomness(3)
  const rows: { arrivalMs: number; inputTokens: number; outputTokens: number }[] = []
  for (let at = 0; at < seconds * 1_000; ) {
    at += (-Math.log(1 - dice.float()) * 1_000) / perS
    rows.push({ arrivalMs: at, inputTokens: input, outputTokens: output })
  }
  return toRequests(rows)
}

const init = (requests: Requests, over: Partial<ServeInit> = {}): ServeInit => ({
  requests,
  latency: h100,
  controller: { wanted: () => 2 },
  startupMs: () => 30_000,
  initial: 2,
  tickMs: 2_000,
  fromMs: 0,
  untilMs: requests.arrivalMs.at(-1)! + 1,
  ...over,
})

describe('latencies', () => {
  it('are the measured ones at the measured points', () => {
    expect(h100.promptMs(2_048)).toBe(136.8)
    expect(h100.chunkMs(2_048, 0, 0)).toBe(136.8)
    expect(h100.decodeMs(32, 32 * 640)).toBe(38.62)
    expect(a100.promptMs(512)).toBe(93)
  })

  it('grow beyond them, more than linearly for prompts', () => {
    expect(h100.promptMs(16_384)).toBeGreaterThan(2 * h100.promptMs(8_192))
    expect(h100.decodeMs(32, 32 * 12_000)).toBeGreaterThan(h100.decodeMs(32, 32 * 640))
    expect(h100.chunkMs(2_048, 8, 2_048 * 50_000)).toBeGreaterThan(h100.chunkMs(2_048, 8, 0))
  })
})

describe('a replica', () => {
  it('serves a lonely request in the times of the table', () => {
    const requests = toRequests([{ arrivalMs: 500, inputTokens: 2_048, outputTokens: 101 }])
    const { ledger } = serve(init(requests))
    expect(ledger.firstMs[0]).toBeCloseTo(500 + 136.8, 6)
    const decode = ledger.endMs[0]! - ledger.firstMs[0]!
    expect(decode / 100).toBeGreaterThan(29.7)
    expect(decode / 100).toBeLessThan(30.2)
  })

  it('reads a long prompt in chunks', () => {
    const requests = toRequests([{ arrivalMs: 0, inputTokens: 8_192, outputTokens: 1 }])
    const { ledger } = serve(init(requests))
    expect(ledger.firstMs[0]!).toBeGreaterThan(4 * 136.8)
    expect(ledger.firstMs[0]!).toBeLessThan(4.6 * 136.8)
    expect(ledger.endMs[0]).toBe(ledger.firstMs[0])
  })

  it('never runs more at once than was measured, and loses none', () => {
    const requests = poisson(30, 60)
    let most = 0
    const controller = { wanted: () => 1 }
    const onTick: NonNullable<ServeInit['onTick']> = (fleet) => {
      for (const replica of fleet.replicas) most = Math.max(most, replica.inFlight)
    }
    const { ledger } = serve(init(requests, { controller, initial: 1, onTick }))
    expect(most).toBe(MAX_BATCH)
    expect(ledger.endMs.every((at) => at > 0)).toBe(true)
    // First come, first served by the one replica.
    for (let at = 1; at < ledger.firstMs.length; at += 1) {
      expect(ledger.firstMs[at]!).toBeGreaterThanOrEqual(ledger.firstMs[at - 1]!)
    }
  })
})

describe('a fleet', () => {
  it('is the same twice', () => {
    const requests = poisson(8, 120)
    const one = serve(init(requests))
    const two = serve(init(requests))
    expect(two.ledger.endMs).toEqual(one.ledger.endMs)
    expect(two.replicaMs).toBe(one.replicaMs)
  })

  it('is faster with more replicas', () => {
    const requests = poisson(14, 120)
    const share = (count: number) => {
      const controller = { wanted: () => count }
      const { ledger } = serve(init(requests, { controller, initial: count }))
      const options = { reference: a100, objective: SPLITWISE_OBJECTIVE, fromMs: 0, untilMs: 1e9 }
      return judge(ledger, options)
    }
    const few = share(2)
    const many = share(6)
    few.quantiles.forEach((value, index) => {
      expect(many.quantiles[index]!).toBeLessThanOrEqual(value)
    })
    expect(many.met).toBe(true)
    expect(few.met).toBe(false)
  })

  it('holds requests at zero and forwards them when a replica is ready', () => {
    const requests = toRequests([{ arrivalMs: 1_000, inputTokens: 256, outputTokens: 1 }])
    const controller = { wanted: ({ held }: { held: { requests: number } }) => held.requests }
    const { ledger } = serve(init(requests, { controller, initial: 0, untilMs: 60_000 }))
    expect(ledger.firstMs[0]).toBeCloseTo(2_000 + 30_000 + 51.66, 6)
  })

  it('counts devices from start-up to the end of draining', () => {
    const requests = toRequests([{ arrivalMs: 9_900, inputTokens: 256, outputTokens: 1_001 }])
    // One replica drains from 10 s on and has 30 s of output left; another starts at 10 s.
    const controller = { wanted: ({ nowMs }: { nowMs: number }) => (nowMs < 10_000 ? 1 : 0) }
    const options = { controller, initial: 1, untilMs: 100_000 }
    const drained = serve(init(requests, options))
    expect(drained.ledger.endMs[0]!).toBeGreaterThan(39_000)
    expect(drained.replicaMs).toBeCloseTo(drained.ledger.endMs[0]!, 6)
    const grows = { wanted: ({ nowMs }: { nowMs: number }) => (nowMs < 10_000 ? 1 : 2) }
    const grown = serve(init(requests, { ...options, controller: grows }))
    expect(grown.replicaMs).toBe(100_000 + 90_000)
  })

  it('takes back what starts before it drains what serves', () => {
    const requests = poisson(1, 60)
    const controller = {
      wanted: ({ nowMs }: { nowMs: number }) => (nowMs < 10_000 ? 4 : 2),
    }
    const { ready, starts, stops } = serve(init(requests, { controller, fromMs: 1 }))
    expect(Math.min(...ready)).toBe(2)
    expect([starts, stops]).toEqual([0, 2])
  })

  it('loses nothing when a replica dies', () => {
    const requests = poisson(4, 60)
    let killed = false
    const onTick: NonNullable<ServeInit['onTick']> = (fleet, nowMs) => {
      if (nowMs < 20_000 || killed) return
      killed = true
      fleet.kill(fleet.replicas[0]!, nowMs)
    }
    const { ledger } = serve(init(requests, { onTick }))
    expect(killed).toBe(true)
    expect(ledger.endMs.every((at) => at > 0)).toBe(true)
  })
})

describe('an objective', () => {
  it('is told as slowdown over the same request alone on the reference', () => {
    const requests = toRequests([{ arrivalMs: 0, inputTokens: 512, outputTokens: 11 }])
    const { ledger } = serve(init(requests))
    const { ttft, tpot, e2e } = slowdownOf(ledger, 0, a100)
    expect(ttft).toBeCloseTo(53.86 / 93, 6)
    expect(tpot).toBeCloseTo(29.76 / 44.97, 3)
    expect(e2e).toBeLessThan(1)
  })

  it('counts what never ended as missed', () => {
    const requests = toRequests([{ arrivalMs: 0, inputTokens: 512, outputTokens: 11 }])
    const { ledger } = serve(init(requests, { controller: { wanted: () => 0 }, initial: 0 }))
    const options = { reference: a100, objective: SPLITWISE_OBJECTIVE, fromMs: 0, untilMs: 10 }
    expect(judge(ledger, options)).toMatchObject({ requests: 1, share: 0, lost: 1, met: false })
  })
})

describe('traces', () => {
  it('are read as their publishers write them', () => {
    const azure = readAzureLlm(
      'TIMESTAMP,ContextTokens,GeneratedTokens\n' +
        '2023-11-16 23:59:59.5000000,4808,10\n2023-11-17 00:00:01.0000000,3180,8\n',
    )
    expect([...azure.arrivalMs]).toEqual([0, 1_500])
    expect([...azure.inputTokens]).toEqual([4_808, 3_180])
    const mooncake = readMooncake(
      '{"timestamp": 3000, "input_length": 6758, "output_length": 500, "hash_ids": [0]}\n',
    )
    expect(mooncake.outputTokens[0]).toBe(500)
    const calls = 'app,func,end_timestamp,duration\na,f,10.5,0.5\na,g,12,1\n'
    expect(readFunctionCalls(calls)).toEqual([0, 1_000])
    expect(readFunctionCalls(calls, 'g')).toEqual([0])
    expect(() => readMooncake('{}')).toThrow('no request')
  })

  it('keep their shape at another rate', () => {
    const requests = poisson(5, 600)
    const more = rescale(requests, 3.3, seededRandomness(1))
    const count = (load: Requests, from: number) =>
      cutRequests(load, from, from + 60_000).arrivalMs.length
    for (let from = 0; from < 540_000; from += 60_000) {
      expect(Math.abs(count(more, from) - 3.3 * count(requests, from))).toBeLessThan(8)
    }
    const fewer = rescale(requests, 0.25, seededRandomness(1))
    expect(fewer.arrivalMs.length).toBe(Math.floor((requests.arrivalMs.length - 1) / 4))
  })
})
