import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { type Job, Job_State } from '@serverless-ai/contracts/job/v1/job'
import { uploadDigits, uploadExample } from '../../support/digits.ts'
import { jobManifest } from '../../support/manifest.ts'
import { ROOT } from '../../support/root.ts'
import { send } from '../gateway/open-loop.ts'
import type { Edge } from './edge.ts'

const DATA = 'examples/workloads/digits/data/digits.csv.gz'
const PIXELS = 64
/** Rows that the training does not see come last. */
const TEST_ROWS = 360
/** What the digits job must read rightly of them at least. */
const ACCURACY = 0.9

/** An image with what it shows and what the server says about it. */
interface Image {
  readonly body: string
  readonly label: number
}

function images(count: number): readonly Image[] {
  const text = gunzipSync(readFileSync(join(ROOT, DATA))).toString()
  const rows = text.trim().split('\n').slice(-TEST_ROWS).slice(0, count)
  return rows.map((row) => {
    const numbers = row.split(',').map(Number)
    const body = JSON.stringify({ pixels: numbers.slice(0, PIXELS) })
    return { body, label: numbers[PIXELS] ?? -1 }
  })
}

/** Trains the digits job for a moment: its checkpoint is what is served. */
export async function trainDigits(edge: Edge): Promise<void> {
  const manifest = jobManifest('digits', {
    command: ['node', 'dist/main.js', '--epochs', '10'],
    workspace: await uploadDigits(edge.team),
    resources: { devices: 1, cpu: '100m', memory: '128Mi' },
  })
  const done = ({ state }: Job) => state === Job_State.SUCCEEDED
  await edge.until(await edge.submit(manifest), 'digits is trained', done)
}

/** Submits the server of the trained digits; `spec` says what is special about it. */
export async function serveDigits(
  edge: Edge,
  spec: Readonly<Record<string, unknown>>,
): Promise<string> {
  const workspace = await uploadExample(edge.team, 'digits-server', ['dist', 'package.json'])
  const manifest = jobManifest('digits-server', {
    type: 'Inference',
    command: ['node', 'dist/main.js'],
    workspace,
    model: { job: 'digits' },
    resources: { devices: 1, cpu: '100m', memory: '128Mi' },
    ...spec,
  })
  return edge.submit(manifest)
}

/** Images, and the one right answer for each: what the model says, and it reads most of them. */
export class Questions {
  readonly #edge: Edge
  readonly #images: readonly Image[]
  readonly #answers: readonly string[]

  private constructor(edge: Edge, all: readonly Image[], answers: readonly string[]) {
    this.#edge = edge
    this.#images = all
    this.#answers = answers
  }

  /** Asks a replica that is ready about each of them, once. */
  static async ask(edge: Edge, count: number): Promise<Questions> {
    const all = images(count)
    const answers: string[] = []
    let read = 0
    for (const { body, label } of all) {
      const answer = await send(edge.to('digits-server', '/predict', { body }))
      if (answer.status !== 200) throw new Error(`status ${answer.status}: ${answer.body}`)
      if (JSON.parse(answer.body).digit === label) read += 1
      answers.push(answer.body)
    }
    const share = read / all.length
    if (share < ACCURACY) throw new Error(`the model reads ${share} of the images rightly`)
    return new Questions(edge, all, answers)
  }

  /** The nth question. */
  kind(index: number) {
    const { body } = this.#images[index % this.#images.length]!
    return this.#edge.to('digits-server', '/predict', { body })
  }

  /** True for the one right answer. */
  isRight(index: number, answer: { readonly status: number; readonly body: string }): boolean {
    return answer.status === 200 && answer.body === this.#answers[index % this.#answers.length]
  }
}
