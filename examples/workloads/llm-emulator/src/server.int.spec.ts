import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))

test('the process answers like a server of a model, and says that it is none', async () => {
  const args = [MAIN, '--port', '0', '--speed', '100']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(child.stdout, 'data')
  expect(String(line)).toMatch(/^EMULATOR, no model: emulated\/llama2-70b\/h100-80gb at port \d+/)
  const url = `http://127.0.0.1:${/port (\d+)/.exec(String(line))?.[1]}`
  const models = await (await fetch(`${url}/v1/models`)).json()
  expect(models).toMatchObject({ data: [{ owned_by: 'emulator', emulated: true }] })
  const ask = (path: string, body: object) =>
    fetch(`${url}${path}`, { method: 'POST', body: JSON.stringify(body) })
  const plain = await ask('/v1/completions', { model: 'x', prompt: 'x'.repeat(40), max_tokens: 3 })
  expect(plain.headers.get('x-emulated')).toBe('true')
  expect(await plain.json()).toMatchObject({
    choices: [{ text: ' emulated emulated emulated' }],
    usage: { prompt_tokens: 10, completion_tokens: 3 },
  })
  const chat = {
    messages: [],
    stream: true,
    max_tokens: 3,
    stream_options: { include_usage: true },
  }
  const events = (await (await ask('/v1/chat/completions', chat)).text()).trim().split('\n\n')
  expect(events).toHaveLength(5)
  expect(events[3]).toContain('"completion_tokens":3')
  expect(events[4]).toBe('data: [DONE]')
  expect((await ask('/v1/completions', [])).status).toBe(200)
  expect((await fetch(`${url}/v1/completions`, { method: 'POST', body: '{' })).status).toBe(400)
  expect((await fetch(`${url}/nothing`)).status).toBe(404)
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
})
