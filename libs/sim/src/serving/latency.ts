/**
 * How long a replica of Llama2-70B takes: measured points, and what is assumed between and beyond.
 *
 * Source of the points: `Mutinifni/splitwise-sim` `data/perf_model.csv` (MIT; Patel et al.,
 * "Splitwise", ISCA 2024), tensor parallel over 8 GPUs, medians of five repeats.
 */
export interface LatencyPoints {
  /** Whole prompt, batch 1: tokens, milliseconds; ascending. */
  readonly prompt: readonly (readonly [tokens: number, ms: number])[]
  /** One output token for each of a batch, prompts of 512: batch, milliseconds; ascending. */
  readonly decode: readonly (readonly [batch: number, ms: number])[]
  /** Bytes per second of all memories of the replica; for contexts beyond the measured ones. */
  readonly memoryBytesPerS: number
}

/** Eight H100-80GB. The prompt of 128 tokens was measured slower than that of 256: left out. */
export const LLAMA2_70B_H100: LatencyPoints = {
  prompt: [
    [256, 51.66],
    [512, 53.86],
    [1024, 77.91],
    [2048, 136.8],
    [4096, 390.29],
    [8192, 844.89],
  ],
  decode: [
    [1, 29.76],
    [2, 30.26],
    [4, 31.79],
    [8, 32.5],
    [16, 34.17],
    [32, 38.62],
    [64, 50.16],
  ],
  memoryBytesPerS: 8 * 3.35e12,
}

/** Eight A100-80GB, idle: what slowdowns are told against. */
export const LLAMA2_70B_A100: LatencyPoints = {
  prompt: [
    [128, 65.35],
    [256, 66.76],
    [512, 93],
    [1024, 154.46],
    [2048, 274.22],
    [4096, 661.22],
    [8192, 1549.82],
  ],
  decode: [[1, 44.97]],
  memoryBytesPerS: 8 * 2.039e12,
}

/** Largest batch that was measured: no replica decodes more at once. */
export const MAX_BATCH = 64
/** Prompt tokens of one iteration (chunked prefill): within what was measured. */
export const CHUNK_TOKENS = 2_048
/** An iteration with prompts and decodes, over one with the prompts alone (splitwise-sim). */
const MIXED_FACTOR = 1.1
/** 2 (K, V) · 80 layers · 8 KV heads · 128 · 2 bytes. */
const KV_BYTES_PER_TOKEN = 327_680
/** Context of the measured decodes: prompt of 512, 128 tokens more. */
const MEASURED_CONTEXT = 640
/** Nine tenths of 640 GB, less 140 GB of weights. */
export const KV_TOKENS_MAX = Math.floor((0.9 * 640e9 - 140e9) / KV_BYTES_PER_TOKEN)
/**
 * A token at this depth costs as much attention as all else: 2 · 70e9 FLOP against
 * 4 · 80 layers · 8192 · depth.
 */
const ATTENTION_PARITY_TOKENS = 140e9 / (4 * 80 * 8192)

function interpolate(points: LatencyPoints['prompt'], x: number): number {
  const [firstX, firstY] = points[0]!
  if (x <= firstX || points.length === 1) return firstY
  let index = 1
  while (index < points.length - 1 && points[index]![0] < x) index += 1
  const [x0, y0] = points[index - 1]!
  const [x1, y1] = points[index]!
  return y0 + ((x - x0) * (y1 - y0)) / (x1 - x0)
}

/**
 * Times of a replica. Within the points: linear between them. Beyond them it is an extrapolation:
 * prompts over 8,192 tokens and contexts over 640 grow by what attention adds in FLOP (prompts)
 * and in bytes read (decodes).
 */
export class Latency {
  readonly #points: LatencyPoints
  /** By whole numbers: of tokens up to a full iteration, of decodes. */
  readonly #chunk: readonly number[]
  readonly #decode: readonly number[]
  readonly #kvMsPerToken: number

  constructor(points: LatencyPoints) {
    this.#points = points
    this.#kvMsPerToken = (KV_BYTES_PER_TOKEN / points.memoryBytesPerS) * 1_000
    const size = CHUNK_TOKENS + MAX_BATCH + 1
    this.#chunk = Array.from({ length: size }, (_, x) => interpolate(points.prompt, x))
    this.#decode = Array.from({ length: MAX_BATCH + 1 }, (_, x) => interpolate(points.decode, x))
  }

  /** A whole prompt at once on an idle replica, in milliseconds. */
  promptMs(tokens: number): number {
    const [last, lastMs] = this.#points.prompt.at(-1)!
    if (tokens <= last) return interpolate(this.#points.prompt, tokens)
    const attention = (n: number) => 1 + n / (2 * ATTENTION_PARITY_TOKENS)
    return (lastMs * tokens * attention(tokens)) / (last * attention(last))
  }

  /**
   * An iteration with `tokens` of prompts and `decodes` output tokens, in milliseconds.
   * `depthTokens`: sum over the prompt tokens of how deep in their prompt their chunk begins.
   */
  chunkMs(tokens: number, decodes: number, depthTokens: number): number {
    const ms = this.#chunk[tokens + decodes]!
    const attention = (ms * depthTokens) / (ATTENTION_PARITY_TOKENS * tokens)
    return (ms + attention) * (decodes > 0 ? MIXED_FACTOR : 1)
  }

  /** One output token for each of `batch`, whose contexts sum up to `kvTokens`. */
  decodeMs(batch: number, kvTokens: number): number {
    const beyond = Math.max(0, kvTokens - MEASURED_CONTEXT * batch)
    return this.#decode[batch]! + beyond * this.#kvMsPerToken
  }
}
