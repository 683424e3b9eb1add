import { spawn } from 'node:child_process'
import { ROOT, toolEnv } from './paths.ts'

/** A command with a time limit whose last line reads `N passed, N failed`. */
export type Slice = {
  readonly name: string
  readonly command: readonly [string, ...string[]]
  readonly timeoutMs: number
}

export type Counts = { readonly passed: number; readonly failed: number }

/** Reads the last `N passed, N failed` of an output; undefined when there is none. */
export function parseCounts(output: string): Counts | undefined {
  const last = [...output.matchAll(/^(\d+) passed, (\d+) failed$/gm)].at(-1)
  return last && { passed: Number(last[1]), failed: Number(last[2]) }
}

/** Runs a command with its output passed on; a status or signal other than 0 is no success. */
export function runCommand(
  command: readonly [string, ...string[]],
  timeoutMs: number,
): Promise<{ readonly ok: boolean; readonly output: string }> {
  const [file, ...args] = command
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      cwd: ROOT,
      env: { ...toolEnv(), NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
    })
    let output = ''
    const take = (chunk: Buffer) => {
      output += chunk.toString()
      process.stdout.write(chunk)
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.on('error', (error) => resolve({ ok: false, output: `${output}${error.message}\n` }))
    const startedMs = performance.now()
    child.on('close', (code) => {
      const minutes = Math.round(timeoutMs / 60_000)
      const stopped = performance.now() - startedMs >= timeoutMs
      if (stopped) console.log(`\nstopped after ${minutes} minutes: ${command.join(' ')}`)
      resolve({ ok: code === 0 && !stopped, output })
    })
  })
}

/** Runs slices one after another; returns the exit status and prints the sums. */
export async function runSlices(slices: readonly Slice[]): Promise<number> {
  let passed = 0
  let failed = 0
  for (const slice of slices) {
    console.log(`--- ${slice.name}`)
    const startedMs = performance.now()
    const { ok, output } = await runCommand(slice.command, slice.timeoutMs)
    const counts = parseCounts(output) ?? { passed: 0, failed: 0 }
    passed += counts.passed
    // A slice that ends badly without naming a failure is itself one.
    failed += ok ? counts.failed : Math.max(1, counts.failed)
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    console.log(`--- ${slice.name}: ${ok ? 'ok' : 'FAILED'} in ${seconds} s`)
  }
  console.log(`${passed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
}
