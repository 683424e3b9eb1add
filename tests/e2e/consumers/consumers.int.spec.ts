import { expect, test } from 'vitest'
import { freshSeed } from '../../support/random.ts'
import { runConsumers } from './consumers.ts'

test('a watching consumer that is killed has each event once, gaps mended', async () => {
  const seed = freshSeed()
  const say = () => undefined
  const { breaches, facts } = await runConsumers({ seed, kills: 4, eventsPerKill: 500, say })
  expect(breaches, `seed ${seed}, ${JSON.stringify(facts)}`).toEqual([])
})
