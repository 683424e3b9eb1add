/** What a simulated task does, as its command line says. */
import type { TaskScript } from '../types.ts'

const PROGRAM = 'sim'

/** A task that does its work and ends well. */
export const QUIET_SCRIPT: TaskScript = {
  seconds: 30,
  checkpointEvery: 0,
  failShare: 0,
  stubborn: false,
  exitCode: 0,
}

/** The command line of a script: what a job description says. */
export function commandOf(script: TaskScript): readonly string[] {
  const { seconds, checkpointEvery, failShare, stubborn, exitCode } = script
  return [
    PROGRAM,
    ...['--seconds', String(seconds)],
    ...['--checkpoint-every', String(checkpointEvery)],
    ...['--fail-share', String(failShare)],
    ...['--exit-code', String(exitCode)],
    ...(stubborn ? ['--stubborn'] : []),
  ]
}

/** Reads a command line of {@link commandOf}; undefined = no simulated task. */
export function scriptOf(command: readonly string[]): TaskScript | undefined {
  if (command[0] !== PROGRAM) return undefined
  const numberAfter = (name: string, otherwise: number): number => {
    const at = command.indexOf(name)
    const value = at < 0 ? otherwise : Number(command[at + 1])
    return Number.isFinite(value) ? value : otherwise
  }
  return {
    seconds: numberAfter('--seconds', QUIET_SCRIPT.seconds),
    checkpointEvery: numberAfter('--checkpoint-every', QUIET_SCRIPT.checkpointEvery),
    failShare: numberAfter('--fail-share', QUIET_SCRIPT.failShare),
    stubborn: command.includes('--stubborn'),
    exitCode: numberAfter('--exit-code', QUIET_SCRIPT.exitCode),
  }
}
