import type { PlatformClient } from '@serverless-ai/client'
import {
  ExplainResponse,
  ListTargetsResponse,
  type Mode,
  SetModeResponse,
} from '@serverless-ai/contracts/scaling/v1/scaling'
import type { Command } from 'commander'
import { type Globals, resolveConnection, withPlatform } from '../context.ts'
import { CliError } from '../exit.ts'
import { listText, MODES, modeText, whyText } from './scaling-text.ts'
import { answer, type CommandScope, withGlobals } from './shared.ts'

/** Pages read before a list is cut, 1,000 entries each. */
const PAGES_MAX = 10
const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

async function allTargets({ scaling }: PlatformClient): Promise<ListTargetsResponse> {
  const all = await scaling.listTargets({ pageSize: 1_000, pageToken: '', minPosition: '' })
  const targets = [...all.targets]
  let { nextPageToken } = all
  for (let page = 1; page < PAGES_MAX && nextPageToken !== ''; page += 1) {
    const request = { pageSize: 1_000, pageToken: nextPageToken, minPosition: '' }
    const next = await scaling.listTargets(request)
    targets.push(...next.targets)
    nextPageToken = next.nextPageToken
  }
  return { ...all, targets, nextPageToken }
}

/** `--at`: a position, a point in time, or so long ago. */
export function momentOf(
  text: string | undefined,
  nowMs: number,
): { readonly untilMs: bigint; readonly atPosition: string } {
  if (text === undefined) return { untilMs: 0n, atPosition: '' }
  if (text.startsWith('autoscaler:')) return { untilMs: 0n, atPosition: text }
  const [, digits, unit = ''] = /^(\d{1,6})(s|m|h|d)$/.exec(text) ?? []
  if (digits !== undefined) {
    const ago = Number(digits) * (UNITS_MS[unit] ?? 0)
    return { untilMs: BigInt(Math.floor(nowMs - ago)), atPosition: '' }
  }
  const atMs = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isFinite(atMs)) return { untilMs: BigInt(atMs), atPosition: '' }
  throw new CliError(
    'USAGE',
    `--at takes a position (autoscaler:…), a time (2026-11-22T12:00:00Z) or so long ago (10m), ` +
      `not "${text}"`,
  )
}

function modeOf(text: string): Mode {
  const mode = MODES.get(text)
  if (mode !== undefined) return mode
  throw new CliError('USAGE', `a mode is ${[...MODES.keys()].join(', ')}, not "${text}"`)
}

interface WhyOptions extends Globals {
  readonly at?: string
}

/** `sai scale` */
export function addScaling(program: Command, { io, checkout }: CommandScope): void {
  const scale = program
    .command('scale')
    .description('how many replicas and tasks there are, and why')
  const asked = <T>(options: Globals, call: (platform: PlatformClient) => Promise<T>): Promise<T> =>
    withPlatform(io, resolveConnection({ globals: options, io, checkout }), call)
  withGlobals(scale.command('list'))
    .description('services and elastic training, and what was decided last')
    .action(async (options: Globals) => {
      const told = await asked(options, allTargets)
      answer(io, options, {
        json: ListTargetsResponse.toJSON(told),
        text: () => listText(told, io.clock.wallMs()),
      })
    })
  withGlobals(scale.command('why'))
    .description('what was decided, upon what, and what was not')
    .argument('<target>', 'name or job id')
    .option('--at <time>', 'as it was: a position, a time, or so long ago (10m)')
    .action(async (target: string, options: WhyOptions) => {
      const moment = momentOf(options.at, io.clock.wallMs())
      const told = await asked(options, ({ scaling }) => scaling.explain({ target, ...moment }))
      answer(io, options, {
        json: ExplainResponse.toJSON(told),
        text: () => whyText(told, { byTime: moment.untilMs > 0n }),
      })
    })
  withGlobals(scale.command('mode'))
    .description('whether decisions are carried out')
    .argument('<target>', 'name or job id')
    .argument('<mode>', [...MODES.keys()].join(', '))
    .action(async (target: string, typed: string, options: Globals) => {
      const mode = modeOf(typed)
      const told = await asked(options, (platform) => platform.setScalingMode(target, mode))
      answer(io, options, { json: SetModeResponse.toJSON(told), text: () => modeText(told.target) })
    })
}
