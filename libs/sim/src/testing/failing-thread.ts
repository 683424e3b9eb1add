/** A thread that fails in a way of its own with some seeds, and answers the others at once. */
import { parentPort } from 'node:worker_threads'
import type { Delivery, Order } from '../many.ts'

const answer = (delivery: Delivery): void => parentPort?.postMessage(delivery)

const FAILURES: Readonly<Record<number, () => void>> = {
  1: () => void Promise.reject(new Error('nobody awaits it')),
  2: () => void setImmediate(() => thrown('a timer throws')),
  3: () => process.exit(7),
  4: () => answer({ ok: false, error: 'the run throws' }),
}

function thrown(message: string): never {
  throw new Error(message)
}

function done({ scenario, seed }: Order): void {
  const none = { simMs: 1, events: 1, commits: 1, leaderChanges: 0, jobs: 0, tasksStarted: 0 }
  const result = { scenario, seed, hash: 'h', alarms: [], faults: {}, last: [], ...none }
  answer({ ok: true, result, realMs: 1 })
}

parentPort?.on('message', (order: Order) => {
  const fail = FAILURES[order.seed % 6]
  if (fail === undefined) done(order)
  else fail()
})
