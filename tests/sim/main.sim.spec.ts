import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../support/root.ts'

function run(program: string, line: string): { status: number | null; text: string } {
  const args = [join(ROOT, 'tests/dist', program), ...line.split(' ')]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  return { status, text: `${stdout}${stderr}` }
}

const sim = (line: string) => run('sim/main.js', line)
const campaign = (line: string) => run('load/campaign.js', line)

describe('what simulates nothing, or not what was asked, does not pass', () => {
  it.each([
    ['--seeds 0', '--seeds must be a whole number from 1'],
    ['--seeds -1', 'not "-1"'],
    ['--workers 0', '--workers must be a whole number from 1'],
    ['--minutes 0', '--minutes must be a number above 0'],
    ['--seed 4294967296', '--seed must be a whole number from 0 to 4294967295'],
    ['--trace --seeds 2', 'of one run'],
    ['--at 100 --scenario calm,chaos', 'of one run'],
    ['--about node-1', '--about chooses lines of --trace'],
  ])('sim %s', (flags, said) => {
    const { status, text } = sim(`--scenario calm ${flags}`)
    expect(text).toContain(said)
    expect(status).toBe(2)
  })

  it.each([
    ['simulation --only 999', 'there is no case 999'],
    ['defects --only 0', '--only must be a whole number from 1'],
    ['kills --count 0 --slice', '--count must be a whole number from 1'],
    ['simulation --seed -5', 'not "-5"'],
  ])('campaign %s', (line, said) => {
    const { status, text } = campaign(line)
    expect(text).toContain(said)
    expect(status).toBe(2)
  })
})

describe('a run up to an event', () => {
  it('is not said to be in order: it has no end', () => {
    const { status, text } = sim('--scenario takeover --seed 1 --at 2000')
    expect(text).toMatch(/^CUT {3}takeover seed 1: .* so far; stopped at event 2000/m)
    expect(text).not.toMatch(/^ok/m)
    expect(status).toBe(0)
  })

  it('says so when the run has no such event', () => {
    const { status, text } = sim('--scenario takeover --seed 1 --at 4294967295')
    expect(text).toMatch(/^the run ended with event \d+: there is no event 4294967295$/m)
    expect(status).toBe(2)
  })
})
