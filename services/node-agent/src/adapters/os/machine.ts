import { execFile } from 'node:child_process'
import { availableParallelism, totalmem } from 'node:os'
import { codeOf, messageOf } from '../../core/errors.ts'
import { type NodeDevice, parseNvidiaSmi } from '../../core/inventory.ts'

/** CPU of the machine, or of the container it is, in thousandths of a core. */
export function machineCpuMillis(): number {
  return availableParallelism() * 1000
}

/** Memory of the machine, or of the container it is, MiB. */
export function machineMemoryMib(): number {
  const constrained = process.constrainedMemory()
  const bytes = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem()
  return Math.floor(bytes / 1024 / 1024)
}

const QUERY = ['--query-gpu=index,uuid,name,memory.total', '--format=csv,noheader,nounits']

/** NVIDIA devices; none where there is no `nvidia-smi`. `problem` is empty unless it failed. */
export function nvidiaDevices(): Promise<{ devices: NodeDevice[]; problem: string }> {
  return new Promise((resolve) => {
    execFile('nvidia-smi', QUERY, { timeout: 20_000 }, (error, stdout, stderr) => {
      if (error !== null && codeOf(error) === 'ENOENT') resolve({ devices: [], problem: '' })
      else {
        const problem = error === null ? '' : `${messageOf(error)} ${stderr.trim()}`
        resolve({ devices: parseNvidiaSmi(stdout), problem })
      }
    })
  })
}
