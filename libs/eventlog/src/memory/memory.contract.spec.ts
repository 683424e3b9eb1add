import { seededRandomness, VirtualTime } from '@serverless-ai/kernel/testing'
import type { EventLog } from '../port.ts'
import { eventLogContract } from '../testing/contract.ts'
import { address } from '../testing/contract-bench.ts'
import type { MemoryLogFaults } from './faults.ts'
import { openMemoryLog } from './open.ts'
import { createMemoryLogStore, trim } from './store.ts'

function harness(seed: number, faults?: MemoryLogFaults) {
  return () => {
    const time = new VirtualTime()
    const ports = { timers: time, randomness: seededRandomness(seed) }
    const store = createMemoryLogStore()
    const open = async () =>
      openMemoryLog(faults === undefined ? { ports, store } : { ports, store, faults })
    return {
      exact: faults === undefined,
      open,
      reopen: open,
      outside: {
        async expire(log: EventLog, below: number) {
          trim(store.partition(address), below)
          return log
        },
        async restore(log: EventLog, end: number) {
          const partition = store.partition(address)
          partition.records = partition.records.slice(0, end - partition.start)
          return log
        },
      },
      run: <T>(promise: Promise<T>): Promise<T> => time.run(promise, { limitMs: 36_000_000 }),
    }
  }
}

eventLogContract('memory', harness(1))

// A fresh seed per run: what fails is printed with it.
const seed = Math.floor(Math.random() * 2 ** 32)
eventLogContract(
  `memory with faults, seed ${seed}`,
  harness(seed, {
    sendDelayMs: [0, 30],
    ackDelayMs: [0, 30],
    readDelayMs: [0, 30],
    lostShare: 0.1,
    unknownShare: 0.1,
    lateShare: 0.1,
    duplicateShare: 0.1,
    tornShare: 0.3,
  }),
)
