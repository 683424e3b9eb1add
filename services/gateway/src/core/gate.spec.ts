import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { GateRequest } from './fair-queue.ts'
import { ServiceGate } from './gate.ts'
import type { ReplicaRoute } from './replicas.ts'

const limits = { perTenant: 1_000, total: 4_000 }
const replica = (gang: number, more: Partial<ReplicaRoute> = {}): ReplicaRoute => ({
  gang,
  generation: 1,
  address: `n${gang}:1`,
  ready: true,
  draining: false,
  ...more,
})
let ids = 0
const request = (more: Partial<GateRequest> = {}): GateRequest => {
  ids += 1
  const plain = { tenant: 'a', rank: 1, cost: 1, tokens: 0, arrivedMs: ids, affinity: '' }
  return { id: ids, ...plain, ...more }
}
const gateOf = (init: {
  replicas: readonly ReplicaRoute[]
  concurrency?: number
  tokens?: number
  queue?: typeof limits
  weights?: Record<string, number>
}) => {
  const gate = new ServiceGate({
    limits: { concurrency: init.concurrency ?? 1, tokens: init.tokens ?? 0 },
    queue: init.queue ?? limits,
    weightOf: (tenant) => init.weights?.[tenant] ?? 1,
  })
  gate.replace(init.replicas)
  return gate
}

test('the least loaded replica gets the request', () => {
  const gate = gateOf({ replicas: [replica(1), replica(2), replica(3)], concurrency: 4 })
  for (let n = 0; n < 9; n += 1) expect(gate.offer(request(), 0).at).toBe('Given')
  expect(gate.replicas.list.map(({ inFlight }) => inFlight)).toEqual([3, 3, 3])
})

test('a request above the token limit goes alone; others wait until there is room', () => {
  const gate = gateOf({ replicas: [replica(1)], concurrency: 9, tokens: 100 })
  const large = request({ tokens: 500, cost: 500 })
  const first = gate.offer(large, 0)
  expect(first.at).toBe('Given')
  expect(gate.offer(request({ tokens: 10 }), 0).at).toBe('Held')
  if (first.at === 'Given') gate.done(large, first.replica)
  expect(gate.next(0)?.request.tokens).toBe(10)
})

test('a higher class does not wait behind a lower one that does not fit', () => {
  const gate = gateOf({ replicas: [replica(1)], concurrency: 9, tokens: 100 })
  expect(gate.offer(request({ tokens: 60 }), 0).at).toBe('Given')
  expect(gate.offer(request({ tokens: 60, rank: 2 }), 0).at).toBe('Held')
  expect(gate.offer(request({ tokens: 10, rank: 2 }), 0).at).toBe('Held')
  expect(gate.offer(request({ tokens: 10, rank: 0 }), 0).at).toBe('Given')
})

test('what a replica did not take goes before those that came later, limits or not', () => {
  const gate = gateOf({ replicas: [replica(1)], queue: { perTenant: 1, total: 1 } })
  const first = request()
  const offer = gate.offer(first, 0)
  const later = request()
  expect(gate.offer(later, 0).at).toBe('Held')
  if (offer.at === 'Given') gate.done(first, offer.replica)
  gate.correct(first, 0)
  expect(gate.putBack(first)).toBe(true)
  expect([gate.queue.size, gate.queue.oldestMs]).toEqual([2, first.arrivedMs])
  expect(gate.offer(request(), 0)).toMatchObject({ at: 'Refused', reason: 'TENANT_QUEUE_FULL' })
  expect(gate.next(0)?.request.id).toBe(first.id)
  gate.shed(1)
  expect(gate.putBack(request())).toBe(false)
})

test('classes come in strict order, and nobody overtakes inside a class and tenant', () => {
  const gate = gateOf({ replicas: [] })
  const order = [2, 0, 1, 2, 0, 1].map((rank) => request({ rank }))
  for (const each of order) gate.offer(each, 0)
  gate.replace([replica(1)])
  const given: number[] = []
  for (let next = gate.next(0); next !== undefined; next = gate.next(0)) {
    given.push(next.request.id)
    gate.done(next.request, next.replica)
  }
  const expected = [1, 4, 2, 5, 0, 3].map((index) => order[index]!.id)
  expect(given).toEqual(expected)
})

test('a full queue gives up the lowest class, and there the longest line', () => {
  const gate = gateOf({ replicas: [], queue: { perTenant: 10, total: 4 } })
  const low = [1, 2, 3].map(() => request({ tenant: 'flood', rank: 2 }))
  for (const each of low) gate.offer(each, 0)
  gate.offer(request({ tenant: 'b', rank: 2 }), 0)
  const top = gate.offer(request({ tenant: 'c', rank: 0 }), 0)
  expect(top).toMatchObject({ at: 'Held', evicted: { id: low[2]!.id } })
  // As many as the others have: nobody goes for it.
  const same = gate.offer(request({ tenant: 'flood', rank: 2 }), 0)
  expect(same).toEqual({ at: 'Refused', reason: 'SERVICE_QUEUE_FULL' })
  const fair = gate.offer(request({ tenant: 'd', rank: 2 }), 0)
  expect(fair).toMatchObject({ at: 'Held', evicted: { id: low[1]!.id } })
})

test('what waits above the bound of a tenant is refused', () => {
  const gate = gateOf({ replicas: [], queue: { perTenant: 2, total: 100 } })
  const offers = [1, 2, 3].map(() => gate.offer(request(), 0).at)
  expect(offers).toEqual(['Held', 'Held', 'Refused'])
  expect(gate.offer(request({ tenant: 'b' }), 0).at).toBe('Held')
})

test('ten tenants, one with fifty times the load: shares follow the weights', () => {
  const weights: Record<string, number> = { t3: 2, t7: 4 }
  const gate = gateOf({ replicas: [], queue: { perTenant: 5_000, total: 50_000 }, weights })
  for (let tenant = 0; tenant < 10; tenant += 1) {
    const count = tenant === 0 ? 5_000 : 400
    // Requests of different sizes: it is cost that is shared, not numbers.
    for (let n = 0; n < count; n += 1) {
      gate.offer(request({ tenant: `t${tenant}`, cost: 1 + ((n * 7 + tenant) % 13) }), 0)
    }
  }
  gate.replace([replica(1)])
  const served = new Map<string, number>()
  let total = 0
  for (let n = 0; n < 1_000; n += 1) {
    const next = gate.next(0)!
    served.set(next.request.tenant, (served.get(next.request.tenant) ?? 0) + next.request.cost)
    total += next.request.cost
    gate.done(next.request, next.replica)
  }
  const weightSum = 8 + 2 + 4
  for (let tenant = 0; tenant < 10; tenant += 1) {
    const share = (served.get(`t${tenant}`) ?? 0) / total
    const fair = (weights[`t${tenant}`] ?? 1) / weightSum
    expect(Math.abs(share / fair - 1), `t${tenant}`).toBeLessThan(0.1)
  }
})

test('a tenant that was idle saves nothing up', () => {
  const gate = gateOf({ replicas: [replica(1)] })
  let busy = gate.offer(request({ tenant: 'busy' }), 0)
  for (let n = 0; n < 100; n += 1) {
    const one = request({ tenant: 'busy' })
    if (busy.at === 'Given') gate.done(one, busy.replica)
    busy = gate.offer(one, 0)
  }
  for (let n = 0; n < 10; n += 1) {
    gate.offer(request({ tenant: 'idle' }), 0)
    gate.offer(request({ tenant: 'busy' }), 0)
  }
  const turns: string[] = []
  for (let n = 0; n < 10; n += 1) {
    gate.done(request(), gate.replicas.list[0]!)
    turns.push(gate.next(0)!.request.tenant)
  }
  expect(turns.filter((tenant) => tenant === 'idle').length).toBeLessThanOrEqual(6)
})

test('sessions keep their replica when others come or go', () => {
  const all = [1, 2, 3, 4, 5].map((gang) => replica(gang))
  const gate = gateOf({ replicas: all, concurrency: 100_000 })
  const homeOf = (affinity: string): number => {
    const offer = gate.offer(request({ affinity }), 0)
    return offer.at === 'Given' ? offer.replica.route.gang : 0
  }
  const sessions = Array.from({ length: 500 }, (_, n) => `s${n}`)
  const before = new Map(sessions.map((each) => [each, homeOf(each)]))
  gate.replace(all.slice(0, 4))
  for (const [session, gang] of before) {
    if (gang === 5) expect(homeOf(session)).not.toBe(5)
    else expect(homeOf(session)).toBe(gang)
  }
  const counts = [1, 2, 3, 4, 5].map(
    (gang) => [...before.values()].filter((g) => g === gang).length,
  )
  for (const count of counts) expect(count).toBeGreaterThan(50)
})

test('a replica that cannot be reached gets nothing until its pause is over', () => {
  const gate = gateOf({ replicas: [replica(1)], concurrency: 10 })
  const one = request()
  const offer = gate.offer(one, 0)
  if (offer.at !== 'Given') throw new Error('not given')
  gate.done(one, offer.replica)
  expect(gate.suspect(offer.replica, 0)).toBe(100)
  expect(gate.offer(request(), 50).at).toBe('Held')
  expect(gate.next(99)).toBeUndefined()
  expect(gate.next(100)?.replica.route.gang).toBe(1)
  expect(gate.suspect(offer.replica, 200)).toBe(200)
})

/** Random life of a gate: what it must never do. */
test('never above a limit, never to one that drains, nothing is lost or given twice', () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({
        type: fc.constant('offer' as const),
        tenant: fc.constantFrom('a', 'b', 'c'),
        rank: fc.nat(2),
        tokens: fc.nat(60),
      }),
      fc.record({ type: fc.constant('end' as const), which: fc.nat() }),
      fc.record({ type: fc.constant('leave' as const), which: fc.nat() }),
      fc.record({
        type: fc.constant('replicas' as const),
        states: fc.array(fc.constantFrom('ready', 'draining', 'away', 'none'), { maxLength: 4 }),
      }),
    ),
    { maxLength: 120 },
  )
  fc.assert(
    fc.property(steps, (list) => {
      const gate = gateOf({
        replicas: [],
        concurrency: 2,
        tokens: 50,
        queue: { perTenant: 6, total: 10 },
      })
      const held = new Map<number, GateRequest>()
      const running = new Map<number, { request: GateRequest; replica: unknown }>()
      let clock = 0
      const given = (one: GateRequest, where: { route: ReplicaRoute; inFlight: number }) => {
        expect(running.has(one.id)).toBe(false)
        expect(where.route.ready && !where.route.draining).toBe(true)
        expect(where.inFlight).toBeLessThanOrEqual(2)
        running.set(one.id, { request: one, replica: where })
      }
      const pump = () => {
        for (let next = gate.next(clock); next !== undefined; next = gate.next(clock)) {
          expect(held.delete(next.request.id)).toBe(true)
          given(next.request, next.replica)
        }
      }
      for (const step of list) {
        clock += 1
        if (step.type === 'offer') {
          const one = request({ ...step, cost: Math.max(1, step.tokens) })
          const offer = gate.offer(one, clock)
          if (offer.at === 'Given') given(one, offer.replica)
          if (offer.at === 'Held') {
            held.set(one.id, one)
            if (offer.evicted !== undefined) expect(held.delete(offer.evicted.id)).toBe(true)
          }
        } else if (step.type === 'end') {
          const one = [...running.values()][step.which % Math.max(1, running.size)]
          if (one !== undefined) {
            running.delete(one.request.id)
            gate.done(one.request, one.replica as Parameters<typeof gate.done>[1])
          }
        } else if (step.type === 'leave') {
          const one = [...held.values()][step.which % Math.max(1, held.size)]
          if (one !== undefined) expect(gate.withdraw(one.id) && held.delete(one.id)).toBe(true)
        } else {
          const routes = step.states.flatMap((state, index) =>
            state === 'none'
              ? []
              : [replica(index, { ready: state !== 'away', draining: state === 'draining' })],
          )
          gate.replace(routes)
        }
        pump()
        expect(gate.queue.size).toBe(held.size)
        expect(gate.replicas.inFlight).toBe(running.size)
        expect(held.size).toBeLessThanOrEqual(10)
      }
    }),
    { numRuns: 300 },
  )
})
