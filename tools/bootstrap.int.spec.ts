import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT } from './lib/paths.ts'

const bootstrap = join(ROOT, 'tools', 'bootstrap.mjs')

// Says when it is up, counts signals for a moment after the first, and ends with a status of its
// own.
const PRODUCT = `
  let count = 0
  const take = () => {
    count += 1
    if (count > 1) return
    setTimeout(() => { console.log('signals ' + count); process.exit(7) }, 200)
  }
  process.on('SIGINT', take)
  process.on('SIGTERM', take)
  setInterval(() => {}, 1000)
  console.log('up ' + process.argv.slice(1).join('|'))
`

function start(...args: string[]) {
  const child = spawn(process.execPath, [bootstrap, ...args], {
    cwd: ROOT,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  return { child, output: () => output, ended: once(child, 'exit') }
}

describe('bootstrap', () => {
  it('passes arguments on and returns the status', async () => {
    const { child, output, ended } = start('exec', 'node', '-e', PRODUCT, '--', 'a b', '--data')
    await expect.poll(output, { timeout: 20_000 }).toContain('up a b|--data')
    child.kill('SIGTERM')
    expect(await ended).toEqual([7, null])
  })

  it.each(['SIGINT', 'SIGTERM'] as const)('hands %s to the product once', async (signal) => {
    const { child, output, ended } = start('exec', 'node', '-e', PRODUCT)
    await expect.poll(output, { timeout: 20_000 }).toContain('up')
    // A terminal signals the whole process group, and npm its child once more.
    process.kill(-(child.pid ?? 0), signal)
    child.kill(signal)
    expect(await ended).toEqual([7, null])
    expect(output()).toContain('signals 1')
  })

  it.each(['port', 'lease_ms', 'quickstart'])('names the -- that npm needs: %s', async (name) => {
    const child = spawn(process.execPath, [bootstrap, 'start'], {
      cwd: ROOT,
      env: { ...process.env, [`npm_config_${name}`]: '7080' },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let errors = ''
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString()
    })
    expect(await once(child, 'close')).toEqual([1, null])
    expect(errors).toContain(`npm took --${name.replace('_', '-')} for itself`)
  })

  it('refuses a task that does not exist', async () => {
    const { ended } = start('no-such-task')
    expect(await ended).toEqual([1, null])
  })
})
