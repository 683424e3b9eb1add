import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { ROOT } from '../../support/root.ts'
import { defectOf } from './index.ts'
import { DEFECT_VARIABLE } from './variable.ts'

/** The preload, built: what it changes is the built product. */
const LOADER = join(ROOT, 'tests/dist/sim/defects/load.js')

/** Node's arguments and environment of a process with a defect. */
export function defectProcess(name: string): { flags: string[]; env: NodeJS.ProcessEnv } {
  defectOf(name)
  return { flags: ['--import', LOADER], env: { ...process.env, [DEFECT_VARIABLE]: name } }
}

/**
 * Goes on in a process with the defect: returns when this one is that process already, else runs it
 * with the same arguments and ends as it ends. An unknown name ends the process with code 2.
 */
export function withDefect(name: string): void {
  if (process.env[DEFECT_VARIABLE] === name) return
  let child: ReturnType<typeof defectProcess>
  try {
    child = defectProcess(name)
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    process.exit(2)
  }
  const [program, ...args] = process.argv
  const run = spawnSync(program!, [...child.flags, ...args], { stdio: 'inherit', env: child.env })
  process.exit(run.status ?? 1)
}
