import { seededRandomness } from '@serverless-ai/kernel/testing'
import { expect, test } from 'vitest'
import type { GateRequest } from './fair-queue.ts'
import { ServiceGate } from './gate.ts'
import type { Replica } from './replicas.ts'

/** A kind of callers. */
interface Callers {
  readonly tenant: string
  readonly rank: number
  /** Requests per second, a Poisson process. */
  readonly rate: number
}

interface Served {
  readonly request: GateRequest
  readonly latencyMs: number
}

const SECONDS = 120
const CONCURRENCY = 8
const WORK_MS = 100
/** Longest time that a request is held: what it needs at its replica is left of 2 s. */
const HOLD_MS = 1_850
/** Two replicas: 160 requests per second. */
const CAPACITY = (2 * CONCURRENCY * 1_000) / WORK_MS

/** Requests in virtual time; each takes 50 to 150 ms at its replica. */
function run(callers: readonly Callers[], weights: Readonly<Record<string, number>> = {}) {
  const random = seededRandomness(7)
  const gate = new ServiceGate({
    limits: { concurrency: CONCURRENCY, tokens: 0 },
    queue: { perTenant: 64, total: 4_096 },
    weightOf: (tenant) => weights[tenant] ?? 1,
  })
  gate.replace(
    [1, 2].map((gang) => ({
      gang,
      generation: 1,
      address: `n${gang}:1`,
      ready: true,
      draining: false,
    })),
  )
  const arrivals: GateRequest[] = []
  for (const { tenant, rank, rate } of callers) {
    for (let at = 0; ; ) {
      at += (-Math.log(1 - random.float()) * 1_000) / rate
      if (at >= SECONDS * 1_000) break
      const plain = { cost: 1, tokens: 0, affinity: '' }
      arrivals.push({ id: 0, tenant, rank, arrivedMs: at, ...plain })
    }
  }
  arrivals.sort((a, b) => a.arrivedMs - b.arrivedMs)
  const running: { endMs: number; request: GateRequest; replica: Replica }[] = []
  const served: Served[] = []
  /** In the order of arrival; some of them have gone meanwhile. */
  const held: GateRequest[] = []
  const give = (request: GateRequest, replica: Replica, nowMs: number): void => {
    const endMs = nowMs + WORK_MS * (0.5 + random.float())
    running.push({ endMs, request, replica })
    running.sort((a, b) => a.endMs - b.endMs)
  }
  const finishUntil = (nowMs: number): void => {
    while (running.length > 0 && running[0]!.endMs <= nowMs) {
      const { endMs, request, replica } = running.shift()!
      gate.done(request, replica)
      served.push({ request, latencyMs: endMs - request.arrivedMs })
      while (held.length > 0 && endMs - held[0]!.arrivedMs > HOLD_MS) {
        gate.withdraw(held.shift()!.id)
      }
      for (let next = gate.next(endMs); next !== undefined; next = gate.next(endMs)) {
        give(next.request, next.replica, endMs)
      }
    }
  }
  arrivals.forEach((arrival, index) => {
    const request = { ...arrival, id: index + 1 }
    finishUntil(request.arrivedMs)
    const offer = gate.offer(request, request.arrivedMs)
    if (offer.at === 'Given') give(request, offer.replica, request.arrivedMs)
    else if (offer.at === 'Held') held.push(request)
  })
  return { arrivals, served }
}

test('at twice the capacity the highest class keeps what it has alone, the lowest goes', () => {
  const top: Callers = { tenant: 'a', rank: 0, rate: CAPACITY * 0.3 }
  const others: readonly Callers[] = [
    { tenant: 'b', rank: 1, rate: CAPACITY * 0.85 },
    { tenant: 'c', rank: 2, rate: CAPACITY * 0.85 },
  ]
  const goodput = (served: readonly Served[]) =>
    served.filter(({ request, latencyMs }) => request.rank === 0 && latencyMs <= 300).length
  const alone = goodput(run([top]).served)
  const { arrivals, served } = run([top, ...others])
  expect(goodput(served) / alone).toBeGreaterThanOrEqual(0.95)
  const part = (rank: number) => {
    const of = (list: readonly GateRequest[]) => list.filter((each) => each.rank === rank).length
    return of(served.map(({ request }) => request)) / of(arrivals)
  }
  expect(part(0)).toBeGreaterThan(0.999)
  expect(part(1)).toBeGreaterThan(0.75)
  // What is left: 160 - 48 - (nearly all that is left) of the middle class.
  expect(part(2)).toBeLessThan(0.1)
})

test('ten tenants, one with fifty times the load: shares are those of the weights', () => {
  const tenants = Array.from({ length: 10 }, (_, index) => `t${index}`)
  const weights = Object.fromEntries(tenants.map((name, index) => [name, index % 2 === 0 ? 1 : 2]))
  const sum = Object.values(weights).reduce((total, one) => total + one, 0)
  const rate = ((CAPACITY * 2) / sum) * 1.3
  const callers = tenants.map((tenant, index) => ({
    tenant,
    rank: 1,
    rate: index === 0 ? rate * 50 : rate,
  }))
  const { served } = run(callers, weights)
  for (const name of tenants) {
    const count = served.filter(({ request }) => request.tenant === name).length
    const share = count / served.length
    expect(Math.abs(share / (weights[name]! / sum) - 1), name).toBeLessThan(0.1)
  }
})
