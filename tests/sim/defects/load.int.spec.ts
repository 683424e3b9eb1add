import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, it } from 'vitest'
import { ROOT } from '../../support/root.ts'
import { DEFECTS } from './index.ts'
import { patchedModules } from './patching.ts'
import { DEFECT_VARIABLE } from './variable.ts'
import { defectProcess } from './with-defect.ts'

const REASON = pathToFileURL(join(ROOT, 'services/scheduler/dist/core/reason.js')).href
/** True in the product: an exclusive gang whose older generation still holds a rank waits. */
const ASK = `
  const { waitsForOlder } = await import(${JSON.stringify(REASON)})
  const spec = { jobId: 'j', gang: { exclusive: true } }
  const ranks = { freed: [0], nodes: [0], tasksOnNode: [1] }
  const holding = { jobId: 'j', gang: 0, generation: 1, held: 1, ...ranks }
  const fleet = { ids: ['n'], stateOf: () => 'Ready' }
  const state = { fleet, holdings: new Map([['j/0/1', holding]]) }
  console.log(waitsForOlder(state, { spec, generation: 1 }))`

function run(code: string, child: { flags: string[]; env: NodeJS.ProcessEnv }) {
  const args = [...child.flags, '--input-type=module', '--eval', code]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    env: child.env,
    encoding: 'utf8',
  })
  return { status, stdout: stdout.trim(), stderr }
}

it('changes the product in the processes that ask for it, and in no other', () => {
  expect(run(ASK, { flags: [], env: process.env }).stdout).toBe('true')
  expect(run(ASK, defectProcess('exclusive-wait-missing')).stdout).toBe('false')
})

it('leaves every module it changes a program that can be loaded', () => {
  const codes = DEFECTS.flatMap((defect) => [...patchedModules(defect).values()])
  const parse = `
    import { SourceTextModule } from 'node:vm'
    import { text } from 'node:stream/consumers'
    for (const code of JSON.parse(await text(process.stdin))) new SourceTextModule(code)
    console.log('all')`
  const flags = ['--no-warnings', '--experimental-vm-modules', '--input-type=module']
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, '--eval', parse], {
    input: JSON.stringify(codes),
    encoding: 'utf8',
  })
  expect(stderr).toBe('')
  expect(stdout.trim()).toBe('all')
})

it('fails when the process has not loaded what it changes', () => {
  const { status, stderr } = run('', defectProcess('exclusive-wait-missing'))
  expect(stderr).toContain("the defect 'exclusive-wait-missing' was never loaded")
  expect(status).toBe(3)
})

it('reaches the threads of the process', () => {
  const thread = `
    import { Worker } from 'node:worker_threads'
    await import(${JSON.stringify(REASON)})
    const code = ${JSON.stringify(ASK)}
    const url = new URL('data:text/javascript,' + encodeURIComponent(code))
    await new Promise((resolve) => new Worker(url).on('exit', resolve))`
  expect(run(thread, defectProcess('exclusive-wait-missing')).stdout).toBe('false')
})

it('fails for a name that nobody knows', () => {
  const { flags, env } = defectProcess('exclusive-wait-missing')
  const { status, stderr } = run('', { flags, env: { ...env, [DEFECT_VARIABLE]: 'typo' } })
  expect(stderr).toContain("DEFECT_UNKNOWN: no defect 'typo'; there are: answer-before-read-back")
  expect(status).not.toBe(0)
})
