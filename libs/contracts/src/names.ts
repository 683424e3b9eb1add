import { TaskExit_Cause } from './gen/serverlessai/pool/v1/pool.ts'

/** What the types of all public events begin with: their proto package. */
export const EVENTS = 'serverlessai.events.v1.'

/** Name of a cause of a task's end, as the cores write it. */
export type ExitCauseName = Exclude<keyof typeof TaskExit_Cause, 'UNSPECIFIED' | 'UNRECOGNIZED'>

const EXIT_CAUSES = new Map<number, ExitCauseName>()
for (const [name, number] of Object.entries(TaskExit_Cause)) {
  if (isExitCauseName(name)) EXIT_CAUSES.set(number, name)
}

function isExitCauseName(name: string): name is ExitCauseName {
  return name in TaskExit_Cause && name !== 'UNSPECIFIED' && name !== 'UNRECOGNIZED'
}

/** Name of a cause; undefined for a number that this version does not know. */
export const exitCauseName = (cause: number): ExitCauseName | undefined => EXIT_CAUSES.get(cause)
