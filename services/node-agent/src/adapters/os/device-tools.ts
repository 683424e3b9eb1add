import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import type { DeviceTool } from '../../app/telemetry/device-watch.ts'
import { messageOf } from '../../core/errors.ts'
import { parseDcgm } from '../../core/telemetry/dcgm.ts'
import { parseNpuSmi } from '../../core/telemetry/npu-smi.ts'
import { NVIDIA_SMI_FIELDS, parseNvidiaSmiReadings } from '../../core/telemetry/nvidia-smi.ts'
import { parseRocmSmi } from '../../core/telemetry/rocm-smi.ts'

/** A tool that hangs on a broken device is given up, ms. */
const TIMEOUT_MS = 20_000
const OUTPUT_MAX_BYTES = 4 * 1024 * 1024
/** Where the tools of vendors are installed, beside what every path has. */
const DIRECTORIES = [
  ...['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'],
  '/opt/rocm/bin',
]

/** Runs a program; its output also counts when it ends with an error about one of many devices. */
function outputOf(program: string, args: readonly string[]): Promise<string> {
  const options = { timeout: TIMEOUT_MS, maxBuffer: OUTPUT_MAX_BYTES }
  return new Promise((resolve, reject) => {
    execFile(program, [...args], options, (error, stdout, stderr) => {
      if (error === null || stdout.trim() !== '') resolve(stdout)
      else reject(new Error(`${messageOf(error)} ${stderr.trim()}`))
    })
  })
}

function textOf(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(url, { timeout: TIMEOUT_MS }, (answer) => {
      const chunks: Buffer[] = []
      let bytes = 0
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > OUTPUT_MAX_BYTES) request.destroy(new Error('the answer is too long'))
        else chunks.push(chunk)
      })
      answer.once('end', () => {
        if (answer.statusCode === 200) resolve(Buffer.concat(chunks).toString())
        else reject(new Error(`${url} answers with status ${answer.statusCode}`))
      })
      answer.once('error', reject)
    })
    request.once('timeout', () => request.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)))
    request.once('error', reject)
  })
}

const find = (name: string): string | undefined =>
  DIRECTORIES.map((directory) => join(directory, name)).find((path) => existsSync(path))

const NVIDIA = [`--query-gpu=${NVIDIA_SMI_FIELDS.join(',')}`, '--format=csv,noheader,nounits']
const ROCM = [
  ...['--showuse', '--showmeminfo', 'vram', '--showpower', '--showtemp'],
  ...['--showenergycounter', '--showproductname', '--json'],
]

/**
 * The tools that are installed. Each call starts a process anew, because loop modes of `nvidia-smi`
 * fail on some drivers; those that take long themselves are asked less often.
 *
 * @param dcgmUrl metrics of `dcgm-exporter`, asked instead of `nvidia-smi`; empty = none
 */
export function installedDeviceTools(dcgmUrl: string): readonly DeviceTool[] {
  const command = (name: string, args: readonly string[]) => {
    const path = find(name)
    return path === undefined ? undefined : () => outputOf(path, args)
  }
  const [nvidia, npu, rocm] = [
    dcgmUrl === '' ? command('nvidia-smi', NVIDIA) : undefined,
    command('npu-smi', ['info']),
    command('rocm-smi', ROCM),
  ]
  return [
    ...(dcgmUrl === '' ? [] : [dcgmOf(dcgmUrl)]),
    ...(nvidia
      ? [{ name: 'nvidia-smi', everyMs: 5_000, ask: nvidia, parse: parseNvidiaSmiReadings }]
      : []),
    ...(npu ? [{ name: 'npu-smi', everyMs: 10_000, ask: npu, parse: parseNpuSmi }] : []),
    ...(rocm ? [{ name: 'rocm-smi', everyMs: 15_000, ask: rocm, parse: parseRocmSmi }] : []),
  ]
}

/** The exporter tells what it found when it looked last: its age shows only in what changes. */
const dcgmOf = (url: string): DeviceTool => ({
  name: 'dcgm',
  everyMs: 5_000,
  ask: () => textOf(url),
  parse: parseDcgm,
  cached: true,
})
