import childProcess, { type ChildProcess, type SpawnOptions } from 'node:child_process'
import { syncBuiltinESMExports } from 'node:module'

const NODE_MAIN = /\/node-agent\/dist\/(?:supervisor|agent)\.js$/
/** What supervisors and agents load before their own main. */
const PRELOAD = new URL('./crash-node.js', import.meta.url).href

/**
 * From now on the supervisors and agents that this process starts load `crash-node` first.
 * `onSpawn` gets each of them.
 */
export function armChildren(onSpawn: (child: ChildProcess) => void = () => undefined): void {
  const { spawn } = childProcess
  const armed = (file: string, args: readonly string[], options: SpawnOptions): ChildProcess => {
    const at = args.findIndex((arg) => NODE_MAIN.test(arg))
    if (at < 0) return spawn(file, args, options)
    const child = spawn(file, args.toSpliced(at, 0, '--import', PRELOAD), options)
    onSpawn(child)
    return child
  }
  Object.assign(childProcess, { spawn: armed })
  syncBuiltinESMExports()
}
