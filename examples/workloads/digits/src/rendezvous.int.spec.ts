import { afterEach, expect, test } from 'vitest'
import { EXIT } from './errors.ts'
import { hostRendezvous, joinRendezvous, type Registration } from './rendezvous.ts'
import { connect, FRAME, type FrameSocket, jsonOf, listen, nextFrame } from './wire.ts'

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

const registration = (change: Partial<Registration>): Registration => ({
  runId: 'job-1',
  generation: 1,
  worldSize: 2,
  rank: 1,
  masterHost: '127.0.0.1',
  masterPort: 0,
  rendezvousTimeoutMs: 1500,
  log: () => undefined,
  ...change,
})

test('at the deadline the refusal is told, not the attempt that was cut short', async () => {
  const sockets: FrameSocket[] = []
  const { server, port } = await listen({ host: '127.0.0.1', port: 0 }, (socket) => {
    sockets.push(socket)
    // The first attempt is refused, every later one gets no answer until the deadline.
    if (sockets.length > 1) return
    const refusal = { reason: 'RUN_MISMATCH', want: 'job-9', got: 'job-1', generation: 1 }
    socket.sendJson(FRAME.refused, refusal)
  })
  closers.push(() => server.close(), ...sockets.map((socket) => () => socket.destroy()))
  const joined = joinRendezvous(registration({ masterPort: port }), async () => 1)
  await expect(joined).rejects.toMatchObject({
    exitCode: EXIT.peerLost,
    message: expect.stringMatching(/last: rank 0 refused us: RUN_MISMATCH, want job-9, got job-1/),
  })
  expect(sockets.length).toBeGreaterThan(1)
  for (const socket of sockets) socket.destroy()
})

test('rank 0 tells a refusal once, however often it comes, and admits the right one', async () => {
  const { server: probe, port } = await listen({ host: '127.0.0.1', port: 0 }, () => undefined)
  await new Promise((resolve) => probe.close(resolve))
  const told: string[] = []
  const host = registration({
    rank: 0,
    masterPort: port,
    rendezvousTimeoutMs: 20_000,
    log: (line) => told.push(line),
  })
  const hosted = hostRendezvous(host, 4000)
  const hello = { runId: 'job-1', generation: 1, worldSize: 2, rank: 1, ringPort: 4001 }
  const knock = async (change: Partial<typeof hello>) => {
    const socket = await connect({ host: '127.0.0.1', port })
    closers.push(() => socket.destroy())
    socket.sendJson(FRAME.hello, { ...hello, ...change })
    return await nextFrame(socket, 10_000)
  }
  for (let i = 0; i < 3; i++) {
    const answer = await knock({ generation: 0 })
    expect(answer).toMatchObject({ kind: FRAME.refused })
    if (typeof answer !== 'string') expect(jsonOf(answer)).toMatchObject({ generation: 1 })
  }
  expect(await knock({})).toMatchObject({ kind: FRAME.members })
  const { members, server } = await hosted
  closers.push(() => server.close())
  expect(members.map((member) => member.port)).toEqual([4000, 4001])
  expect(told).toEqual(['refused a hello: GENERATION_MISMATCH, want 1, got 0'])
})
