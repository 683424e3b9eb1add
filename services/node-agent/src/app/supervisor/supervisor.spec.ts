import { testPorts } from '@serverless-ai/kernel/testing'
import { expect, it } from 'vitest'
import { type DesiredVersion, NO_VERSION } from '../../core/keys.ts'
import type { ToAgent } from '../ipc.ts'
import type { NodeHost } from './node-host.ts'
import type { NodeStore } from './node-store.ts'
import { Supervisor } from './supervisor.ts'

/** A store whose journal becomes durable when the spec says so. */
function slowStore(): { store: NodeStore; durable: () => void } {
  const writes: (() => void)[] = []
  const store: NodeStore = {
    journal: () => NO_VERSION,
    writeJournal: () => new Promise<void>((resolve) => writes.push(resolve)),
    load: () => [],
    wasStarted: () => false,
    recordStart: () => undefined,
    recordExit: () => undefined,
    forget: () => undefined,
    prune: () => [],
    noteInLog: () => undefined,
  }
  return { store, durable: () => writes.shift()?.() }
}

/** A machine on which nothing is started. */
const idle = (): never => {
  throw new Error('no task is started here')
}
const host: NodeHost = {
  isolation: 'none of a spec',
  nodeMark: 'n-1',
  lookEveryMs: undefined,
  processes: { check: idle, prepare: idle },
  clearLeftovers: async () => 0,
  directoriesFor: idle,
  writeNotice: idle,
  removeDirectory: idle,
  reportLines: idle,
}

const version = (position: number): DesiredVersion => ({ epoch: '1', position: `${position}` })

it('keeps the newest set that waits for a slow disk, whatever comes late', async () => {
  const { store, durable } = slowStore()
  const { clock, timers, logger } = testPorts({ seed: 1 })
  const supervisor = new Supervisor({
    config: idle,
    clock,
    timers,
    logger,
    store,
    host,
    session: 's-1',
  })
  const told: ToAgent[] = []
  supervisor.attach({ send: (message) => told.push(message) > 0 })
  for (const position of [5, 7, 6]) {
    const desired = { version: version(position), assignments: [], forget: [] }
    supervisor.onMessage({ type: 'desired', ...desired })
  }
  const settle = () => new Promise((resolve) => setImmediate(resolve))
  durable()
  await settle()
  durable()
  await settle()
  supervisor.onMessage({ type: 'ready' })
  const session = told.find(({ type }) => type === 'session')
  expect(session).toMatchObject({ journal: version(7) })
})
