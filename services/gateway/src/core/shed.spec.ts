import { expect, test } from 'vitest'
import { ServiceGate } from './gate.ts'
import { type ShedAction, ShedActions } from './shed.ts'

const chat = { jobId: 'j', tenant: 'a', name: 'chat' }
const action = (more: Partial<ShedAction> = {}): ShedAction => ({
  actionId: 'o:0:1',
  tenant: 'a',
  service: 'chat',
  rank: 2,
  ...more,
})
const request = (id: number, rank: number, tenant = 'a') => ({
  id,
  tenant,
  rank,
  cost: 1,
  tokens: 0,
  arrivedMs: id,
  affinity: '',
})
const replica = { gang: 1, generation: 1, address: 'n:1', ready: true, draining: false }

test('an action is of the services that it names, by name or job, and of no other tenant', () => {
  const cases: [Partial<ShedAction>, number | undefined][] = [
    [{}, 2],
    [{ service: 'j' }, 2],
    [{ service: '' }, 2],
    [{ tenant: '' }, 2],
    [{ tenant: '', service: '' }, 2],
    [{ service: 'other' }, undefined],
    [{ tenant: 'b' }, undefined],
    [{ tenant: 'b', service: '' }, undefined],
  ]
  for (const [more, rank] of cases) {
    const actions = new ShedActions()
    actions.hold(action(more))
    expect(actions.rankFor(chat), JSON.stringify(more)).toBe(rank)
  }
})

test('of several the one that refuses most counts, until it holds no longer', () => {
  const actions = new ShedActions()
  actions.hold(action())
  actions.hold(action({ actionId: 'o:1:2', rank: 1 }))
  actions.hold(action({ actionId: 'o:1:2', rank: 1 }))
  expect(actions.rankFor(chat)).toBe(1)
  actions.end('o:1:2')
  expect(actions.rankFor(chat)).toBe(2)
  actions.end('o:0:1')
  actions.end('never')
  expect(actions.rankFor(chat)).toBeUndefined()
})

test('the gate refuses the class and all below it, room or not; who waits of them goes', () => {
  const gate = new ServiceGate({
    limits: { concurrency: 1, tokens: 0 },
    queue: { perTenant: 9, total: 9 },
  })
  for (const [index, rank] of [2, 0, 1, 2, 1].entries()) {
    gate.offer(request(index, rank, `t${index}`), 0)
  }
  const refused = { at: 'Refused', reason: 'REQUEST_SHED' }
  expect(gate.shed(2).map(({ id }) => id)).toEqual([0, 3])
  expect(gate.shed(1).map(({ id }) => id)).toEqual([2, 4])
  expect(gate.offer(request(5, 1), 0)).toEqual(refused)
  expect(gate.offer(request(6, 2), 0)).toEqual(refused)
  expect(gate.queue.size).toBe(1)
  gate.replace([replica])
  expect(gate.next(0)?.request.id).toBe(1)
  gate.replace([replica, { ...replica, gang: 2 }])
  expect(gate.offer(request(7, 1), 0)).toEqual(refused)
  expect(gate.offer(request(8, 0), 0).at).toBe('Given')
  expect(gate.shed(undefined)).toEqual([])
  expect(gate.offer(request(9, 2), 0).at).toBe('Held')
})
