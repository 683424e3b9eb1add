import { describe, expect, it } from 'vitest'
import { bank } from './testing/bank.ts'
import { World } from './testing/world.ts'

describe('effects', () => {
  it('leave after their commit is effective and are settled by their outcome', async () => {
    const world = new World()
    const performed: string[] = []
    const definition = bank({
      perform: async ({ key, kind, payload }, { attempt }) => {
        performed.push(
          `${key} ${kind} ${JSON.stringify(payload)} ${attempt} at ${world.logLength()}`,
        )
        return { type: 'Called', key: 'x' }
      },
    })
    const { runtime } = await world.started(definition)
    const answer = await world.run(runtime.execute({ type: 'Call', key: 'x' }))
    await world.until(() => runtime.status().unsettledEffects === 0, 'settled')
    expect(answer.position).toBe('bank:0:1:0')
    expect(performed).toEqual(['call:x call {"to":"x"} 1 at 2'])
    const { value } = await world.run(runtime.read((state) => [...state.calls]))
    expect(value).toEqual(['start x', 'end x'])
  })

  it('are performed again with growing pauses until they work', async () => {
    const world = new World()
    const atMs: number[] = []
    const definition = bank({
      perform: async (_, { attempt }) => {
        atMs.push(world.time.nowMs)
        if (attempt < 9) throw new Error('unreachable')
        return { type: 'Called', key: 'x' }
      },
    })
    const { runtime } = await world.started(definition)
    await world.run(runtime.execute({ type: 'Call', key: 'x' }))
    await world.until(() => runtime.status().unsettledEffects === 0, 'settled')
    const pauses = atMs.slice(1).map((ms, i) => Math.round(ms - atMs[i]!))
    expect(pauses).toEqual([200, 400, 800, 1600, 3200, 6400, 10_000, 10_000])
  })

  it('that were not settled are performed by the next leader', async () => {
    const world = new World()
    const stuck = bank({ perform: () => new Promise(() => {}) })
    const first = await world.started(stuck)
    for (const key of ['x', 'y']) await world.run(first.runtime.execute({ type: 'Call', key }))
    expect(first.runtime.status().unsettledEffects).toBe(2)
    first.log.kill()
    const definition = bank({
      perform: async ({ payload }) => ({ type: 'Called', key: (payload as { to: string }).to }),
    })
    const second = await world.started(definition)
    await world.until(() => second.runtime.status().unsettledEffects === 0, 'settled')
    const { value } = await world.run(second.runtime.read((state) => [...state.calls]))
    expect(value).toEqual(['start x', 'start y', 'end x', 'end y'])
  })

  it('that back off while the state is folded again are not forgotten', async () => {
    const world = new World()
    const definition = bank({
      perform: async (_, { attempt }) => {
        if (attempt < 2) throw new Error('unreachable')
        return { type: 'Called', key: 'x' }
      },
    })
    const { runtime, log } = await world.started(definition)
    await world.run(runtime.execute({ type: 'Call', key: 'x' }))
    log.setFaults({ readDelayMs: [150, 150], tornShare: 1 })
    const refused = runtime.execute({ type: 'BoomLater' })
    await world.time.advance(250)
    expect(await world.run(refused)).toMatchObject({ ok: false })
    await world.until(() => runtime.status().unsettledEffects === 0, 'settled', 20_000)
  })

  it('that were settled otherwise meanwhile come to nothing', async () => {
    const world = new World()
    const hungUp: Promise<unknown>[] = []
    const definition = bank({
      perform: async () => {
        hungUp.push(runtime.execute({ type: 'HangUp', key: 'x' }))
        return { type: 'Called', key: 'x' }
      },
    })
    const { runtime } = await world.started(definition)
    await world.run(runtime.execute({ type: 'Call', key: 'x' }))
    await world.time.advance(1000)
    await world.run(Promise.all(hungUp))
    const { value } = await world.run(runtime.read((state) => [...state.calls]))
    expect(value).toEqual(['start x', 'cancel x'])
    expect(runtime.status()).toMatchObject({ unsettledEffects: 0, parkedInputs: 0 })
  })

  it('run 64 at once at most; one that backs off is in nobody’s way', async () => {
    const world = new World()
    let running = 0
    let most = 0
    const definition = bank({
      perform: async ({ payload }, { attempt }) => {
        const { to } = payload as { to: string }
        if (to === 'bad' && attempt < 3) throw new Error('not yet')
        running += 1
        most = Math.max(most, running)
        await world.time.sleep(10)
        running -= 1
        return { type: 'Called', key: to }
      },
    })
    const { runtime } = await world.started(definition)
    const keys = ['bad', ...Array.from({ length: 200 }, (_, i) => `k${i}`)]
    await world.run(Promise.all(keys.map((key) => runtime.execute({ type: 'Call', key }))))
    await world.until(() => runtime.status().unsettledEffects === 0, 'settled')
    expect(most).toBe(64)
  })

  it('of one key cannot be asked for twice before they are settled', async () => {
    const world = new World()
    const definition = bank({ perform: () => new Promise(() => {}) })
    const { runtime } = await world.started(definition)
    const answers = await world.run(
      Promise.all(['x', 'x'].map((key) => runtime.execute({ type: 'Call', key }))),
    )
    expect(answers.map(({ ok }) => ok)).toEqual([true, false])
  })
})
