import { abortable } from '@serverless-ai/kernel'
import { type QuickstartInit, runQuickstart } from './quickstart/index.ts'

/** A running platform. */
export interface RunningPlatform {
  /** Ends tasks, nodes and control plane, in that order. */
  stop(): Promise<void>
}

/** How a platform starts, is waited for, and ends. */
interface Start {
  /** What is told to people and handed to the quickstart. */
  readonly platform: QuickstartInit
  /** Starts services and nodes, and says where they can be reached. */
  readonly begin: () => Promise<void>
  /** What is not there yet. */
  readonly missing: () => Promise<readonly string[]>
  /** How often that is asked, ms. */
  readonly askEveryMs: number
  /** What is ready in the end, for people. */
  readonly parts: string
  /** Ends what has been started so far. */
  readonly end: () => Promise<void>
  /** `performance.now()` when it was asked for. */
  readonly startedMs: number
  readonly signal: AbortSignal | undefined
}

async function becomeReady(start: Start): Promise<void> {
  const { platform, missing, askEveryMs, signal } = start
  const { config, output, ports } = platform
  await start.begin()
  while ((await missing()).length > 0) await ports.timers.sleep(askEveryMs, signal)
  const seconds = ((performance.now() - start.startedMs) / 1_000).toFixed(1)
  output.say(`ready in ${seconds} s: ${start.parts}`)
  if (config.quickstart) await runQuickstart(platform)
}

/**
 * Starts, and resolves when everything is ready. When that fails, or `signal` is aborted meanwhile,
 * everything that was started is ended first.
 */
export async function bringUp(start: Start): Promise<RunningPlatform> {
  const { platform, end, signal } = start
  try {
    await abortable(becomeReady(start), signal)
  } catch (error) {
    await end()
    throw error
  }
  return {
    async stop() {
      platform.output.say('stopping: tasks, nodes, control plane (jobs go on at the next start)')
      await end()
      platform.output.say('stopped')
    },
  }
}
