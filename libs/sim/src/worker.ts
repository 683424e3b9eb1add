/** A thread that runs simulations one after the other. */
import { parentPort } from 'node:worker_threads'
import { errorText } from './error-text.ts'
import type { Delivery, Order } from './many.ts'
import { runSimulation } from './run.ts'
import { scenarioOf } from './scenarios/index.ts'

async function deliver({ scenario, seed }: Order): Promise<Delivery> {
  const startedMs = performance.now()
  try {
    const result = await runSimulation({ scenario: scenarioOf(scenario), seed })
    // A rejection that nobody awaits ends the thread now, not while it runs the next seed.
    await new Promise((resolve) => setImmediate(resolve))
    return { ok: true, result, realMs: performance.now() - startedMs }
  } catch (error) {
    return { ok: false, error: errorText(error) }
  }
}

parentPort?.on('message', (order: Order) => {
  void deliver(order).then((delivery) => parentPort?.postMessage(delivery))
})
