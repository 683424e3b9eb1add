import type { Clock, Logger, LogLevel } from '@serverless-ai/kernel'

/**
 * JSON lines on standard output. Own, because the shared logger's library would cost the agent and
 * the supervisor several MiB each.
 */
export function createJsonLogger(
  clock: Clock,
  fields: Readonly<Record<string, unknown>>,
  write: (line: string) => void = (line) => process.stdout.write(line),
): Logger {
  return {
    log(level: LogLevel, message: string, more = {}) {
      const time = new Date(clock.wallMs()).toISOString()
      write(`${JSON.stringify({ level, time, ...fields, ...more, msg: message })}\n`)
    },
    child: (more) => createJsonLogger(clock, { ...fields, ...more }, write),
  }
}
