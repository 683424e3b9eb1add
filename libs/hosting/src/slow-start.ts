import type { Ports, Timer } from '@serverless-ai/kernel'

const EVERY_MS = 10_000

/** Says every 10 s what a start still waits for: nobody has to guess what a silent process does. */
export async function tellSlow<T>(
  { clock, timers, logger }: Pick<Ports, 'clock' | 'timers' | 'logger'>,
  doing: () => string,
  work: Promise<T>,
): Promise<T> {
  const startedMs = clock.monotonicMs()
  let timer: Timer
  const tell = (): void => {
    const waitedMs = Math.round(clock.monotonicMs() - startedMs)
    logger.log('warn', 'still starting', { doing: doing(), waitedMs })
    timer = timers.after(EVERY_MS, tell)
  }
  timer = timers.after(EVERY_MS, tell)
  try {
    return await work
  } finally {
    timer.cancel()
  }
}
