import type { PlatformClient } from '@serverless-ai/client'
import {
  ScaleJobResponse as Response,
  type ScaleJobResponse,
} from '@serverless-ai/contracts/job/v1/job'
import type { Globals } from '../context.ts'
import { CliError } from '../exit.ts'
import { scaleText } from '../output/states.ts'
import { factsOf, reasonText } from '../why/reason.ts'
import { answer, type CommandScope } from './shared.ts'

/** Options of `sai job scale`. */
export interface ScaleOptions extends Globals {
  readonly auto?: boolean
}

/** How many, or `'auto'`: exactly one of them is given. */
export function wantedOf(typed: string | undefined, { auto = false }: ScaleOptions) {
  if (auto && typed === undefined) return 'auto' as const
  const wanted = Number(typed)
  if (!auto && typed !== undefined && /^\d{1,6}$/.test(typed)) return wanted
  throw new CliError('USAGE', 'name how many replicas or tasks there shall be, or --auto')
}

function scaleAnswer({ scale, waiting }: ScaleJobResponse): string {
  const facts = factsOf(waiting)
  const who = scale?.owner === '' ? 'whoever comes first' : (scale?.owner ?? 'nobody')
  const lines = [`${scaleText({ scale })}, ${who} decides`]
  if (facts !== undefined) lines.push(reasonText(facts))
  return `${lines.join('\n')}\n`
}

/** Scales a job, and says what there is of it now. */
export async function scaleJob(
  platform: PlatformClient,
  of: { readonly jobId: string; readonly wanted: number | 'auto' },
  { scope, options }: { readonly scope: CommandScope; readonly options: ScaleOptions },
): Promise<void> {
  const scaled = await platform.jobs.scale(of.jobId, of.wanted)
  answer(scope.io, options, { json: Response.toJSON(scaled), text: () => scaleAnswer(scaled) })
}
