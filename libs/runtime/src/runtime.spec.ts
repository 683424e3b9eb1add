import { describe, expect, it } from 'vitest'
import { bank } from './testing/bank.ts'
import { World } from './testing/world.ts'

describe('a leading partition', () => {
  it('answers a command after its commit was read back, and a read sees it', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    const answer = await world.run(runtime.execute({ type: 'Add', key: 'a', n: 3 }))
    expect(answer).toMatchObject({ ok: true, value: { balance: 3 }, position: 'bank:0:1:1' })
    const { value, token } = await world.run(runtime.read((state) => state.accounts.get('a')))
    expect([value, token]).toEqual([3, 'bank:0:1:1'])
    await world.run(runtime.stop())
  })
})
