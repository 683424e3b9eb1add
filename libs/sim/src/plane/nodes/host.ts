/** The operating system under a simulated supervisor. */
import type { Disk } from '@serverless-ai/kernel'
import {
  type Assignment,
  checkpointDirOf,
  type NodeConfig,
  type NodeHost,
  type NodeStore,
  reportPathOf,
  type TaskDirectories,
  taskPathsOf,
} from '@serverless-ai/node-agent/parts'
import type { ProcessContext } from '../../world/types.ts'
import { VirtualProcesses, type VirtualProcessesInit } from './processes.ts'
import { ReportFile } from './report-file.ts'

type SharedParts = Pick<VirtualProcessesInit, 'time' | 'node' | 'scripts' | 'gangs' | 'observe'>

/** What one session of a supervisor stands on. */
export interface SimHostInit extends SharedParts {
  readonly context: ProcessContext
  readonly config: NodeConfig
}

const textOf = async (disk: Disk, path: string): Promise<string> => {
  try {
    return new TextDecoder().decode(await disk.read(path))
  } catch {
    // A task that wrote nothing, or whose file was lost with the power.
    return ''
  }
}

/** Processes, directories and report files of a simulated machine. */
export class SimHost implements NodeHost {
  readonly isolation = 'simulated'
  readonly nodeMark: string
  readonly processes: VirtualProcesses
  /** Writers of report files tell it. */
  readonly lookEveryMs = undefined
  readonly #init: SimHostInit
  readonly #files = new Map<string, ReportFile>()

  constructor(init: SimHostInit) {
    const { clock, timers } = init.context.ports
    this.#init = init
    this.nodeMark = init.node
    this.processes = new VirtualProcesses({
      ...init,
      clock,
      timers,
      reportFile: (path, checkpointDir) => this.#file(path, checkpointDir, ''),
    })
  }

  /** Reads the report files of what an older session left. */
  async open(store: NodeStore): Promise<void> {
    const { context, config } = this.#init
    const { disk } = context.ports
    await disk.makeDirectory(config.workDir)
    for (const { key, start } of store.load(context.ports.clock.wallMs())) {
      const path = reportPathOf(start.taskDir)
      this.#file(path, checkpointDirOf(config, key), await textOf(disk, path))
    }
  }

  #file(path: string, checkpointDir: string, text: string): ReportFile {
    const known = this.#files.get(path)
    if (known !== undefined) return known
    const { disk, timers } = this.#init.context.ports
    const sleep = (ms: number): Promise<void> => timers.sleep(ms)
    const file = new ReportFile({ disk, sleep, path, checkpointDir, text })
    this.#files.set(path, file)
    return file
  }

  async clearLeftovers(): Promise<number> {
    // They died with the older session.
    return 0
  }

  async directoriesFor({ key }: Assignment): Promise<TaskDirectories> {
    const paths = taskPathsOf(this.#init.config, key)
    await this.#init.context.ports.disk.makeDirectory(paths.taskDir)
    return { paths, uid: undefined }
  }

  async writeNotice({ paths }: TaskDirectories, text: string): Promise<void> {
    const { id } = JSON.parse(text) as { id: string }
    this.processes.notice(paths.taskDir, id)
  }

  async removeDirectory(taskDir: string): Promise<void> {
    this.#files.delete(reportPathOf(taskDir))
    // As on a real node: what cannot be removed stays.
    await this.#init.context.ports.disk.remove(taskDir).catch(() => undefined)
  }

  reportLines({ path, checkpointDir }: Parameters<NodeHost['reportLines']>[0], grown: () => void) {
    const file = this.#file(path, checkpointDir, '')
    file.onGrown(grown)
    return file
  }
}
