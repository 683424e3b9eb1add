import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, describe, expect, test } from 'vitest'
import { type Emulator, startEmulator } from './server.ts'

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))
const run = promisify(execFile)
/** A token takes a second, a prompt nothing that counts. */
const SLOW = { promptMs: [[1, 1]], tokenMs: [[1, 1_000]] } as const
const QUICK = { promptMs: [[1, 1]], tokenMs: [[1, 1]] } as const

/** An answer that is no stream. */
interface Whole {
  readonly usage: { readonly completion_tokens: number }
  readonly choices: readonly { readonly message: { readonly content: string } }[]
}

let emulator: Emulator | undefined
afterEach(async () => {
  const last = emulator
  emulator = undefined
  await last?.close()
})

async function start(table: typeof SLOW | typeof QUICK, batchMax = 4): Promise<string> {
  const host = '127.0.0.1'
  emulator = await startEmulator({ model: 'm', table, port: 0, host, batchMax, speed: 1 })
  return `http://${host}:${emulator.port}`
}

const post = (body: string | object, signal?: AbortSignal) => ({
  method: 'POST',
  body: typeof body === 'string' ? body : JSON.stringify(body),
  ...(signal && { signal }),
})

describe('llm-emulator', () => {
  test('says with every answer that no model is behind it, also with refusals', async () => {
    const url = await start(QUICK)
    const asks: readonly (readonly [path: string, init: RequestInit, status: number])[] = [
      ['/healthz', {}, 200],
      ['/v1/models', {}, 200],
      ['/v1/completions', post({ max_tokens: 1 }), 200],
      ['/v1/chat/completions', post({ max_tokens: 2, stream: true }), 200],
      ['/v1/chat/completions', post('{'), 400],
      ['/v1/completions', post('x'.repeat(8 * 1024 * 1024 + 1)), 413],
      ['/v1/embeddings', post({}), 404],
    ]
    for (const [path, init, status] of asks) {
      const answer = await fetch(`${url}${path}`, init)
      const text = await answer.text()
      const said = [answer.headers.get('x-emulated'), answer.headers.get('server')]
      expect([answer.status, ...said], path).toEqual([status, 'true', 'llm-emulator'])
      if (path.endsWith('completions') && status === 200) {
        expect(text).toContain('"system_fingerprint":"emulated"')
        expect(text).toContain(' emulated')
      }
    }
  })

  test('an answer has as many tokens as were asked for, 128 by default', async () => {
    const url = await start(QUICK)
    const tokens = async (more: object) => {
      const answer = await fetch(`${url}/v1/chat/completions`, post({ messages: [], ...more }))
      const { usage, choices } = (await answer.json()) as Whole
      expect(choices[0]?.message.content.split(' ')).toHaveLength(usage.completion_tokens + 1)
      return usage.completion_tokens
    }
    expect(await tokens({ max_tokens: 3 })).toBe(3)
    expect(await tokens({ max_completion_tokens: 2, max_tokens: 3 })).toBe(2)
    expect(await tokens({})).toBe(128)
  })

  test('a caller that leaves takes its sequence with it: the next one has its place', async () => {
    const url = await start(SLOW, 1)
    const leave = new AbortController()
    const long = await fetch(
      `${url}/v1/completions`,
      post({ max_tokens: 100_000, stream: true }, leave.signal),
    )
    expect(long.status).toBe(200)
    leave.abort()
    // Without that it would wait for more than a day.
    const next = await fetch(`${url}/v1/completions`, post({ max_tokens: 1 }))
    expect(((await next.json()) as Whole).usage.completion_tokens).toBe(1)
  }, 20_000)

  test.each([
    [['--table', 'none'], '--table: one of '],
    [['--port', 'x'], '--port: want a number, got "x"'],
    [['--port', ''], '--port: want a number'],
    [['--wrong'], "Unknown option '--wrong'"],
  ])('ends with its usage where it is started wrongly: %j', async (flags, text) => {
    const ended = run(process.execPath, [MAIN, ...flags])
    await expect(ended).rejects.toMatchObject({
      code: 64,
      stderr: expect.stringMatching(/^llm-emulator: .*\nusage: main /s),
    })
    await expect(ended).rejects.toMatchObject({ stderr: expect.stringContaining(text) })
  })
})
