/** A thread that runs simulations one after the other. */
import { parentPort } from 'node:worker_threads'
import type { Delivery, Order } from './many.ts'
import { runSimulation } from './run.ts'
import { scenarioOf } from './scenarios/index.ts'

async function deliver({ scenario, seed }: Order): Promise<Delivery> {
  const startedMs = performance.now()
  try {
    const result = await runSimulation({ scenario: scenarioOf(scenario), seed })
    return { ok: true, result, realMs: performance.now() - startedMs }
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { ok: false, error: `${scenario}, seed ${seed}: ${text}` }
  }
}

parentPort?.on('message', (order: Order) => {
  void deliver(order).then((delivery) => parentPort?.postMessage(delivery))
})
