/** An accelerator of the node. */
export interface NodeDevice {
  /** From 0. */
  readonly index: number
  readonly uuid: string
  /** Emulated ones carry the prefix `emulated/`. */
  readonly model: string
  readonly memoryMib: number
  readonly emulated: boolean
  readonly healthy: boolean
  /** What stands for the compute of an emulated one, thousandths of a core; absent = any. */
  readonly cpuMillis?: number
}

/** Accelerators without hardware behind them, for development. */
export interface EmulatedAccelerators {
  readonly count: number
  readonly model: string
  readonly memoryMib: number
  /**
   * CPU that stands for the compute of one of them, thousandths of a core: the tasks that hold some
   * get no more than that. Absent = they are not bound.
   */
  readonly cpuMillis?: number
}

/** Emulated accelerators as devices, numbered from `firstIndex`. */
export function emulatedDevices(
  nodeId: string,
  groups: readonly EmulatedAccelerators[],
  firstIndex: number,
): NodeDevice[] {
  const devices: NodeDevice[] = []
  for (const { count, model, memoryMib, cpuMillis } of groups) {
    const bound = cpuMillis === undefined ? {} : { cpuMillis }
    for (let i = 0; i < count; i += 1) {
      const index = firstIndex + devices.length
      const uuid = `emulated-${nodeId}-${index}`
      const name = model.startsWith('emulated/') ? model : `emulated/${model}`
      const device = { index, uuid, model: name, memoryMib, emulated: true, healthy: true }
      devices.push({ ...device, ...bound })
    }
  }
  return devices
}

/**
 * Reads `nvidia-smi --query-gpu=index,uuid,name,memory.total --format=csv,noheader,nounits`.
 * A device whose line carries an error stays in the list, unhealthy, so that indexes keep their
 * meaning; lines that are no devices (warnings, MIG slices) are skipped.
 */
export function parseNvidiaSmi(output: string): NodeDevice[] {
  const devices: NodeDevice[] = []
  for (const line of output.split('\n')) {
    const [indexText, uuid, name, memoryText, ...more] = line.split(',').map((cell) => cell.trim())
    if (indexText === undefined || !/^\d{1,4}$/.test(indexText)) continue
    if (uuid === undefined || name === undefined || more.length > 0) continue
    const memory = /^\d{1,9}$/.test(memoryText ?? '') ? Number(memoryText) : undefined
    const known = /^GPU-[0-9a-f-]+$/i.test(uuid)
    devices.push({
      index: Number(indexText),
      uuid: known ? uuid : `unknown-${indexText}`,
      model: broken(name) ? 'NVIDIA (unknown)' : name,
      memoryMib: memory ?? 0,
      emulated: false,
      healthy: known && memory !== undefined && !broken(name),
    })
  }
  return devices.sort((a, b) => a.index - b.index)
}

function broken(cell: string): boolean {
  return cell === '' || /^\[.*\]$|ERR!|Unable to determine/.test(cell)
}

/** The longest run of free ports; undefined when none is free. `free[i]` belongs to `first + i`. */
export function longestFreeRun(
  first: number,
  free: readonly boolean[],
): { readonly first: number; readonly last: number } | undefined {
  let best: { first: number; last: number } | undefined
  let start: number | undefined
  for (let i = 0; i <= free.length; i += 1) {
    if (free[i] === true) start ??= i
    else if (start !== undefined) {
      const run = { first: first + start, last: first + i - 1 }
      if (best === undefined || run.last - run.first > best.last - best.first) best = run
      start = undefined
    }
  }
  return best
}
