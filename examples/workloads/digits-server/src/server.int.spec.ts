import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { loadModel, ModelError, PIXELS } from './model.ts'
import { createPredictServer, type PredictServer } from './server.ts'

const HIDDEN = 2
const COUNT = HIDDEN * PIXELS + HIDDEN + 10 * HIDDEN + 10
const directory = mkdtempSync(join(tmpdir(), 'digits-server-'))
const file = join(directory, 'step-7.ckpt')

/** A model that sees a 3 in every bright image and a 5 in every dark one. */
function checkpoint(): Buffer {
  const parameters = new Float64Array(COUNT)
  // The first unit of the hidden layer is the brightness.
  for (let i = 0; i < PIXELS; i += 1) parameters[i] = 1
  const out = HIDDEN * PIXELS + HIDDEN
  parameters[out + 3 * HIDDEN] = 1
  parameters[out + 10 * HIDDEN + 5] = 1
  const header = { step: 7, parameters: COUNT, settings: { hidden: HIDDEN } }
  const floats = new Uint8Array(parameters.buffer)
  const body = Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), floats, floats])
  const digest = createHash('sha256').update(body).digest('hex')
  return Buffer.concat([Buffer.from(`SAI-DIGITS-1 sha256:${digest}\n`), body])
}

beforeAll(() => writeFileSync(file, checkpoint()))
afterAll(() => rmSync(directory, { recursive: true }))

let server: PredictServer | undefined
afterEach(() => server?.close())

async function started(latencyMs = 0): Promise<string> {
  server = await createPredictServer(loadModel(file), { host: '127.0.0.1', port: 0, latencyMs })
  return `http://127.0.0.1:${server.port}`
}
const image = (pixel: number) => JSON.stringify({ pixels: new Array(PIXELS).fill(pixel) })
const post = (url: string, body: string) => fetch(`${url}/predict`, { method: 'POST', body })

describe('the digits server', () => {
  it('is ready with its model, and reads images', async () => {
    const url = await started()
    expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'ready', step: 7 })
    expect(await (await post(url, image(16))).json()).toMatchObject({ digit: 3, step: 7 })
    expect(await (await post(url, image(0))).json()).toMatchObject({ digit: 5 })
  })

  it('tells callers what is wrong', async () => {
    const url = await started()
    const status = async (answer: Promise<Response>) => (await answer).status
    expect(await status(post(url, 'x'))).toBe(400)
    expect(await status(post(url, '{"pixels":[1]}'))).toBe(400)
    expect(await status(post(url, image(17)))).toBe(400)
    expect(await status(post(url, 'x'.repeat(100_000)))).toBe(413)
    expect(await status(fetch(`${url}/predict`))).toBe(405)
    expect(await status(fetch(`${url}/`))).toBe(404)
  })

  it('answers what it has before it ends', async () => {
    const url = await started(300)
    const asked = post(url, image(16))
    await fetch(`${url}/healthz`)
    await server?.close()
    expect((await asked).status).toBe(200)
    await expect(fetch(`${url}/healthz`)).rejects.toThrow()
  })

  it('refuses a damaged model', () => {
    const damaged = join(directory, 'damaged.ckpt')
    const bytes = checkpoint()
    bytes[bytes.length - 1] = 1
    writeFileSync(damaged, bytes)
    expect(() => loadModel(damaged)).toThrow(ModelError)
    writeFileSync(damaged, 'something else')
    expect(() => loadModel(damaged)).toThrow(ModelError)
    expect(() => loadModel(join(directory, 'none'))).toThrow(ModelError)
  })
})
