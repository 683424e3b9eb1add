import { env as processEnv } from 'node:process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { EXIT, WorkloadError } from './errors.ts'

/** Who this process is, as a torchrun-style launcher tells it through the environment. */
export interface Launch {
  /** `TORCHELASTIC_RUN_ID`: the same for all ranks and generations of a job. Default `none`. */
  readonly runId: string
  /** `SAI_GENERATION`, else `TORCHELASTIC_RESTART_COUNT`, else 0. */
  readonly generation: number
  /** `RANK`, 0 to `worldSize - 1`. Default 0. */
  readonly rank: number
  /** `WORLD_SIZE`, 1 to 1024. Default 1. */
  readonly worldSize: number
  /** `LOCAL_RANK`: index on this node. Default 0. */
  readonly localRank: number
  /** `LOCAL_WORLD_SIZE`: ranks on this node. Default 1. */
  readonly localWorldSize: number
  /** `GROUP_RANK`: index of this node. Default 0. */
  readonly groupRank: number
  /** `MASTER_ADDR`: where rank 0 listens. Default 127.0.0.1. */
  readonly masterHost: string
  /** `MASTER_PORT`, 1 to 65535. Required when `worldSize > 1`, else unused and 0. */
  readonly masterPort: number
  /** `SAI_CHECKPOINT_DIR`: shared by all ranks and generations. Unset: no checkpoints. */
  readonly checkpointDir: string | undefined
  /** `SAI_RESUME_FROM`: the checkpoint file to load. Unset: start at step 0. */
  readonly resumeFrom: string | undefined
  /** `SAI_REPORT`: file for report lines. Unset: none are written. */
  readonly reportFile: string | undefined
  /** `SAI_NOTICE`: where a planned change is told. Unset: none is. */
  readonly noticeFile?: string | undefined
  /** `DIGITS_JOURNAL`: file for one line per rank and step. Unset: none are written. */
  readonly journalFile: string | undefined
}

/** What is trained and how; from the command line. */
export interface Options {
  /** `--epochs`, 1 to 10,000. */
  readonly epochs: number
  /** `--batch`: rows per step over all ranks together, 1 to 1,437. */
  readonly batch: number
  /** `--lr`: learning rate of the first step; it falls linearly to 0. Over 0, up to 10. */
  readonly learningRate: number
  /** `--hidden`: units of the hidden layer, 1 to 1,024. */
  readonly hidden: number
  /** `--seed`: initial weights and row order, 0 to 2^32 - 1. */
  readonly seed: number
  /** `--checkpoint-every`: steps between checkpoints, 0 = only at the end and when stopped. */
  readonly checkpointEverySteps: number
  /** `--step-delay-ms`: pause after each step, to make a demo last. 0 to 60,000. */
  readonly stepDelayMs: number
  /** `--rendezvous-timeout-ms`: how long the gang may take to come together. */
  readonly rendezvousTimeoutMs: number
  /** `--peer-timeout-ms`: a peer that is silent this long in a step counts as lost. */
  readonly peerTimeoutMs: number
  /** `--data`: a gzipped CSV of 64 pixels and a class per row. Default: the file beside this. */
  readonly dataFile: string
}

export const USAGE = `usage: main [--epochs 30] [--batch 32] [--lr 0.2] [--hidden 128] [--seed 1]
            [--checkpoint-every 100] [--step-delay-ms 0] [--rendezvous-timeout-ms 60000]
            [--peer-timeout-ms 60000] [--data FILE]
The gang is described by RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT … as torchrun sets them.`

type Env = Readonly<Record<string, string | undefined>>
interface Bounds {
  readonly min: number
  readonly max: number
  readonly integer?: boolean
}

/**
 * Reads a decimal number.
 * @throws WorkloadError 64 when it is no number or out of range; the message names `name`.
 */
function numberOf(name: string, text: string, { min, max, integer = true }: Bounds): number {
  const value = Number(text)
  const isNumber = text.trim() !== '' && Number.isFinite(value)
  if (isNumber && value >= min && value <= max && (!integer || Number.isInteger(value))) {
    return value
  }
  const kind = integer ? 'a whole number' : 'a number'
  throw new WorkloadError(EXIT.usage, `${name}: want ${kind} from ${min} to ${max}, got "${text}"`)
}

/** An empty variable counts as unset, as launchers often export all of them. */
const textOf = (env: Env, name: string): string | undefined => env[name] || undefined

function intOf(env: Env, name: string, fallback: number, bounds: Bounds): number {
  const text = textOf(env, name)
  return text === undefined ? fallback : numberOf(name, text, bounds)
}

/**
 * Reads the launch contract from environment variables.
 * @throws WorkloadError 64 naming the variable that is missing, malformed or contradicts another.
 */
export function launchFromEnv(env: Env = processEnv): Launch {
  const worldSize = intOf(env, 'WORLD_SIZE', 1, { min: 1, max: 1024 })
  const rank = intOf(env, 'RANK', 0, { min: 0, max: worldSize - 1 })
  const localWorldSize = intOf(env, 'LOCAL_WORLD_SIZE', 1, { min: 1, max: worldSize })
  const localRank = intOf(env, 'LOCAL_RANK', 0, { min: 0, max: localWorldSize - 1 })
  const restartCount = intOf(env, 'TORCHELASTIC_RESTART_COUNT', 0, { min: 0, max: 2 ** 31 })
  if (worldSize > 1 && textOf(env, 'MASTER_PORT') === undefined) {
    throw new WorkloadError(EXIT.usage, 'MASTER_PORT: required when WORLD_SIZE is over 1')
  }
  return {
    runId: textOf(env, 'TORCHELASTIC_RUN_ID') ?? 'none',
    generation: intOf(env, 'SAI_GENERATION', restartCount, { min: 0, max: 2 ** 31 }),
    rank,
    worldSize,
    localRank,
    localWorldSize,
    groupRank: intOf(env, 'GROUP_RANK', 0, { min: 0, max: worldSize - 1 }),
    masterHost: textOf(env, 'MASTER_ADDR') ?? '127.0.0.1',
    masterPort: intOf(env, 'MASTER_PORT', 0, { min: 1, max: 65_535 }),
    checkpointDir: textOf(env, 'SAI_CHECKPOINT_DIR'),
    resumeFrom: textOf(env, 'SAI_RESUME_FROM'),
    reportFile: textOf(env, 'SAI_REPORT'),
    noticeFile: textOf(env, 'SAI_NOTICE'),
    journalFile: textOf(env, 'DIGITS_JOURNAL'),
  }
}

const FLAGS = {
  epochs: { type: 'string', default: '30' },
  batch: { type: 'string', default: '32' },
  lr: { type: 'string', default: '0.2' },
  hidden: { type: 'string', default: '128' },
  seed: { type: 'string', default: '1' },
  'checkpoint-every': { type: 'string', default: '100' },
  'step-delay-ms': { type: 'string', default: '0' },
  'rendezvous-timeout-ms': { type: 'string', default: '60000' },
  'peer-timeout-ms': { type: 'string', default: '60000' },
  // The same relative place from src/ and from dist/.
  data: {
    type: 'string',
    default: fileURLToPath(new URL('../data/digits.csv.gz', import.meta.url)),
  },
} as const

/**
 * Reads the command line (without the program's own name).
 * @throws WorkloadError 64 on an unknown option or a value out of range, with the usage text.
 */
export function optionsFromArgv(argv: readonly string[]): Options {
  try {
    const { values } = parseArgs({ args: [...argv], options: FLAGS, strict: true })
    const int = (name: keyof typeof values, min: number, max: number) =>
      numberOf(`--${name}`, values[name], { min, max })
    return {
      epochs: int('epochs', 1, 10_000),
      batch: int('batch', 1, 1437),
      learningRate: numberOf('--lr', values.lr, { min: 1e-9, max: 10, integer: false }),
      hidden: int('hidden', 1, 1024),
      seed: int('seed', 0, 2 ** 32 - 1),
      checkpointEverySteps: int('checkpoint-every', 0, 1_000_000),
      stepDelayMs: int('step-delay-ms', 0, 60_000),
      rendezvousTimeoutMs: int('rendezvous-timeout-ms', 100, 3_600_000),
      peerTimeoutMs: int('peer-timeout-ms', 100, 3_600_000),
      dataFile: values.data,
    }
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    throw new WorkloadError(EXIT.usage, `${text}\n${USAGE}`, { cause: error })
  }
}
