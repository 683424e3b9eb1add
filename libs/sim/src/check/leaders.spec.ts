import { describe, expect, it } from 'vitest'
import { Logs } from './testing/logs.ts'

const SERVICE = 'scheduler'

function leading(logs: Logs, process: string, epoch: number, leads = true): void {
  logs.observe({ kind: 'leading', atMs: logs.nowMs, process, service: SERVICE, epoch, leads })
}

function fault(logs: Logs, name: string, target: string, begins = true): void {
  logs.observe({ kind: 'fault', atMs: logs.nowMs, fault: name, target, begins })
}

/** Three replicas, the first of which leads. */
function led(): Logs {
  const logs = new Logs()
  logs.claim(SERVICE)
  for (const process of ['scheduler-1', 'scheduler-2', 'scheduler-3']) {
    leading(logs, process, 1, process === 'scheduler-1')
  }
  logs.commit(SERVICE, { kind: 'tick' })
  return logs
}

describe('leaders', () => {
  it('lets a deposed one believe for a while that it still leads', () => {
    const logs = led()
    logs.claim(SERVICE)
    leading(logs, 'scheduler-2', 2)
    expect(logs.alarms).toEqual([])
  })

  it('sees two that lead one epoch', () => {
    const logs = led()
    leading(logs, 'scheduler-2', 1)
    expect(logs.caught).toEqual(['leaders'])
  })

  it('sees one that leads an epoch which was never opened', () => {
    const logs = led()
    leading(logs, 'scheduler-2', 2)
    expect(logs.caught).toEqual(['leaders'])
  })
})

describe('changes of leaders', () => {
  it('are claims by another replica than the last leader, of the same service', () => {
    const logs = new Logs()
    const claims = (replica: string, epoch?: number): number => {
      logs.claim(SERVICE, { replica, ...(epoch === undefined ? {} : { epoch }) })
      return logs.leaderChanges
    }
    expect(claims('a')).toBe(0)
    expect(claims('a')).toBe(0)
    logs.claim('mediator', { replica: 'b' })
    expect(claims('b')).toBe(1)
    expect(claims('b')).toBe(1)
    // Too late: the epoch is taken.
    expect(claims('c', 4)).toBe(1)
    expect(claims('a', 5)).toBe(2)
    expect(logs.alarms).toEqual([])
  })
})

describe('leases', () => {
  const renewed = (logs: Logs, epoch: number, sentMs: number): void =>
    logs.observe({ kind: 'lease-renewed', atMs: logs.nowMs, node: 'node-1', epoch, sentMs })

  function pool(): Logs {
    const logs = new Logs()
    logs.claim('pool-manager')
    logs.commit('pool-manager', { kind: 'tick' })
    logs.nowMs += 100
    return logs
  }

  it('are renewed by a commit that came after the heartbeat', () => {
    const logs = pool()
    const sentMs = logs.nowMs
    logs.nowMs += 10
    logs.commit('pool-manager', { kind: 'tick' })
    renewed(logs, 1, sentMs)
    expect(logs.alarms).toEqual([])
  })

  it('are not renewed without one', () => {
    const logs = pool()
    renewed(logs, 1, logs.nowMs)
    expect(logs.caught).toEqual(['leases'])
  })

  it('are not renewed by the commit of another leader', () => {
    const logs = pool()
    const sentMs = logs.nowMs
    logs.claim('pool-manager')
    logs.commit('pool-manager', { kind: 'tick' })
    renewed(logs, 1, sentMs)
    expect(logs.caught).toEqual(['leases'])
  })
})

describe('availability', () => {
  // 6 s and 8 times an append of 100 ms.
  const LIMIT_MS = 6_800

  it.each(['kill', 'pause', 'restart', 'power-off', 'log-partition'])(
    'waits for a new leader after %s of the leader',
    (name) => {
      const late = led()
      fault(late, name, 'scheduler-1')
      late.nowMs += LIMIT_MS + 10
      late.claim(SERVICE)
      expect(late.caught).toEqual(['availability'])
      expect(late.alarms[0]?.message).toContain(`scheduler-1 led epoch 1 until '${name}'`)

      const good = led()
      fault(good, name, 'scheduler-1')
      good.nowMs += LIMIT_MS - 100
      good.claim(SERVICE)
      good.commit(SERVICE, { kind: 'tick' })
      good.nowMs += LIMIT_MS
      good.commit(SERVICE, { kind: 'tick' })
      expect(good.alarms).toEqual([])
    },
  )

  it('wants a commit, not a claim alone', () => {
    const logs = led()
    fault(logs, 'kill', 'scheduler-1')
    logs.claim(SERVICE)
    logs.nowMs += LIMIT_MS + 10
    logs.commit(SERVICE, { kind: 'tick' })
    expect(logs.caught).toEqual(['availability'])
    expect(logs.alarms[0]?.message).toContain('nothing was committed in it')
  })

  it.each([
    ['another fault of the service follows', 'kill', 'scheduler-2'],
    ['a fault follows that may touch it', 'network-storm', 'network'],
    ['it is cut off from another', 'partition', 'scheduler-2/pool-manager-1'],
  ])('does not wait when %s', (_, name, target) => {
    const logs = led()
    fault(logs, 'kill', 'scheduler-1')
    fault(logs, name, target)
    logs.nowMs += LIMIT_MS + 10
    logs.commit(SERVICE, { kind: 'tick' })
    expect(logs.alarms).toEqual([])
  })

  it('waits although nodes fail, and although a fault is over', () => {
    const logs = led()
    fault(logs, 'network-storm', 'network')
    fault(logs, 'network-storm', 'network', false)
    fault(logs, 'kill', 'scheduler-1')
    fault(logs, 'node-power', 'n1')
    logs.nowMs += LIMIT_MS + 10
    fault(logs, 'kill', 'scheduler-1', false)
    expect(logs.caught).toEqual(['availability'])
  })

  it('does not wait for anybody when one hung that goes on, or that did not lead', () => {
    const logs = led()
    fault(logs, 'kill', 'scheduler-3')
    fault(logs, 'kill', 'scheduler-3', false)
    fault(logs, 'pause', 'scheduler-1')
    logs.nowMs += 2_000
    fault(logs, 'pause', 'scheduler-1', false)
    logs.nowMs += LIMIT_MS + 10
    logs.commit(SERVICE, { kind: 'tick' })
    expect(logs.alarms).toEqual([])
  })
})
