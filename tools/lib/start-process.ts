import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from '../../tests/support/ports.ts'

const START_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 15_000

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(1000) })).ok
  } catch {
    return false
  }
}

/** The exit status once the process has ended, undefined after the time limit. */
async function ended(child: ChildProcess, timeoutMs: number): Promise<number | undefined> {
  const untilMs = performance.now() + timeoutMs
  while (performance.now() < untilMs) {
    if (child.exitCode !== null) return child.exitCode
    if (child.signalCode !== null) return child.signalCode === 'SIGTERM' ? 143 : 1
    await sleep(20)
  }
  return undefined
}

/**
 * Starts a built main on an empty directory, waits for `/livez` on the port after its gRPC port,
 * sends SIGTERM and expects a clean end.
 *
 * @returns what went wrong, or undefined.
 */
export async function startAndStop(
  main: string,
  extraArgs: readonly string[],
): Promise<string | undefined> {
  // For gRPC and, behind it, for health.
  const port = await freePorts(2)
  const data = mkdtempSync(join(tmpdir(), 'sai-start-'))
  const args = [main, '--data', data, '--port', String(port), ...extraArgs]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (chunk) => (output += chunk))
  child.stderr.on('data', (chunk) => (output += chunk))
  try {
    const untilMs = performance.now() + START_TIMEOUT_MS
    while (!(await answers(`http://127.0.0.1:${port + 1}/livez`))) {
      if (child.exitCode !== null) return `ended with ${child.exitCode} at its start:\n${output}`
      if (performance.now() > untilMs) return `no /livez in ${START_TIMEOUT_MS} ms:\n${output}`
      await sleep(50)
    }
    child.kill('SIGTERM')
    const status = await ended(child, STOP_TIMEOUT_MS)
    // Nest raises the signal again after its hooks, hence 143.
    if (status === 0 || status === 143) return undefined
    return `ended with ${status ?? 'nothing'} after SIGTERM:\n${output}`
  } finally {
    child.kill('SIGKILL')
    rmSync(data, { recursive: true, force: true })
  }
}
