import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Catch } from '../../sim/defects/hunt.ts'
import { DEFECTS, type Defect } from '../../sim/defects/index.ts'
import { defectProcess } from '../../sim/defects/with-defect.ts'
import { reproOf } from '../../sim/text.ts'
import { Dice } from '../../support/random.ts'
import { ROOT } from '../../support/root.ts'
import { commit } from '../report.ts'
import type { Campaign, CampaignInit, Case, Facts } from './campaign.ts'

/** How long one defect is looked for, s. */
const SECONDS = 600
/** Of a slice: so many defects, others each time, for so long each. */
const SLICE_DEFECTS = 2
const SLICE_SECONDS = 60
/** A run that has begun may end: so much later the process is killed, ms. */
const GRACE_MS = 120_000
const HUNT = join(ROOT, 'tests/dist/sim/defects/hunt.js')

const secondsOf = ({ count, slice }: CampaignInit): number =>
  count ?? (slice ? SLICE_SECONDS : SECONDS)

/**
 * Runs the hunt in a process of its own: the defect is patched into the product as it is loaded.
 */
async function hunt(name: string, init: { seed: number; seconds: number }): Promise<Catch> {
  const { flags, env } = defectProcess(name)
  const args = [...flags, HUNT, '--seed', String(init.seed), '--seconds', String(init.seconds)]
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const timer = setTimeout(() => child.kill('SIGKILL'), init.seconds * 1_000 + GRACE_MS)
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  clearTimeout(timer)
  const last = output.trim().split('\n').at(-1) ?? ''
  if (status !== 0) throw new Error(`the hunt for ${name} ended with status ${status}: ${last}`)
  return JSON.parse(last)
}

async function find(defect: Defect, init: { seed: number; seconds: number }): Promise<Facts> {
  const startedMs = performance.now()
  const { name, expect } = defect
  const { checker, message, scenario, seed, runs, simMinutes } = await hunt(name, init)
  const seconds = Number(((performance.now() - startedMs) / 1_000).toFixed(1))
  if (checker === '') {
    throw new Error(`no checker saw it in ${runs} runs of ${simMinutes} minutes, ${seconds} s`)
  }
  const repro = reproOf({ scenario, seed }, { commit: commit(), defect: name })
  return { checker, expected: expect.includes(checker), runs, simMinutes, seconds, message, repro }
}

function chosen({ seed, slice }: CampaignInit): readonly Defect[] {
  if (!slice) return DEFECTS
  const quick = DEFECTS.filter((defect) => defect.quick)
  return new Dice(seed).shuffled(quick).slice(0, SLICE_DEFECTS)
}

function cases(init: CampaignInit): readonly Case[] {
  const seconds = secondsOf(init)
  const flags = `--seed ${init.seed} --count ${seconds}${init.slice ? ' --slice' : ''}`
  return chosen(init).map((defect, index): Case => {
    return {
      name: defect.name,
      repro: `npm run campaign -- defects ${flags} --only ${index + 1}`,
      run: async (say) => {
        const facts = await find(defect, { seed: init.seed, seconds })
        say(`${facts['checker']} after ${facts['runs']} runs: ${facts['repro']}`)
        return facts
      },
    }
  })
}

/** The simulator finds what is wrong, where something is. */
export const defects: Campaign = {
  name: 'defects',
  about: `each seeded defect simulated until a checker sees it, for COUNT s (default ${SECONDS})`,
  settings: (init) => ({ seconds: secondsOf(init), defects: DEFECTS.length }),
  cases,
}
