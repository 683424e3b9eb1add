/** A device as far as a task must know it. */
export interface TaskDevice {
  readonly index: number
  readonly uuid: string
  readonly model: string
  readonly emulated: boolean
}

/** Directories of one execution. */
export interface TaskPaths {
  /** The task's own directory, its home. */
  readonly taskDir: string
  /** Shared by ranks and generations of the job: `<checkpoint directory of the node>/<job id>`. */
  readonly checkpointDir: string
  /** Report file. */
  readonly report: string
  /** Where the task is told of planned changes; not there before. */
  readonly notice: string
  /** For temporary files. */
  readonly tmp: string
  /** Working directory: the workspace is unpacked here. */
  readonly cwd: string
}

/** What PATH ends with; the platform's own environment does not leak into tasks. */
const BASE_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/**
 * Variables that follow from the devices a task was given. Emulated accelerators are announced
 * like real ones and always labelled.
 *
 * @param nodeHasNvidia the node has NVIDIA devices: those not given are hidden.
 */
export function deviceEnvironment(
  nodeId: string,
  devices: readonly TaskDevice[],
  nodeHasNvidia: boolean,
): Record<string, string> {
  const real = devices.filter((device) => !device.emulated)
  const models = [...new Set(devices.map((device) => device.model))]
  return {
    SAI_NODE_ID: nodeId,
    SAI_VISIBLE_DEVICES: devices.map((device) => device.index).join(','),
    SAI_DEVICE_MODEL: models.join(','),
    SAI_DEVICES_EMULATED: devices.some((device) => device.emulated) ? '1' : '0',
    ...(nodeHasNvidia
      ? {
          CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
          CUDA_VISIBLE_DEVICES: real.map((device) => device.uuid).join(','),
        }
      : {}),
  }
}

/**
 * A checkpoint, to go on from or to serve, as the task finds it. Events hold it relative to the
 * checkpoint directory of the nodes; logs of 0.1.0 hold an absolute path, which is used as it is.
 */
function absolute(path: string, checkpointDir: string): string {
  if (path.startsWith('/')) return path
  return `${checkpointDir.slice(0, checkpointDir.lastIndexOf('/'))}/${path}`
}

/**
 * The whole environment of a task: a small clean base, then the description's, then what only the
 * node knows. The marker by which leftovers are found cannot be overridden.
 */
export function taskEnvironment(input: {
  readonly nodeBinDir: string
  readonly paths: TaskPaths
  readonly env: Readonly<Record<string, string>>
  readonly marker: string
}): Record<string, string> {
  const { paths } = input
  const stored: Record<string, string> = {}
  for (const name of ['SAI_RESUME_FROM', 'SAI_MODEL_PATH']) {
    const path = input.env[name] ?? ''
    if (path !== '') stored[name] = absolute(path, paths.checkpointDir)
  }
  return {
    PATH: `${input.nodeBinDir}:${BASE_PATH}`,
    HOME: paths.taskDir,
    LANG: 'C.UTF-8',
    TMPDIR: paths.tmp,
    // Output must not sit in a buffer of the interpreter when somebody follows the log.
    PYTHONUNBUFFERED: '1',
    ...input.env,
    ...stored,
    PWD: paths.cwd,
    SAI_TASK_DIR: paths.taskDir,
    SAI_CHECKPOINT_DIR: paths.checkpointDir,
    SAI_REPORT: paths.report,
    SAI_NOTICE: paths.notice,
    SAI_EXECUTION: input.marker,
  }
}
