import type { PublicEvent } from '@serverless-ai/client/events'
import { ActionStep_Action } from '@serverless-ai/contracts/objective/v1/objective'
import { expect, test } from 'vitest'
import { shedEvent } from '../testing/shed-event.ts'
import { EventSheds } from './event-sheds.ts'

const mark = { seq: 1, offset: -1 }
const chat = { jobId: 'j', tenant: 'a', name: 'chat' }

function shedsOf() {
  const logged: unknown[] = []
  const logger = {
    log: (level: string, message: string, fields?: object) =>
      void logged.push({ level, message, ...fields }),
    child: () => logger,
  }
  const sheds = new EventSheds({ classes: ['interactive', 'standard', 'batch'], logger })
  let changes = 0
  sheds.onChange(() => {
    changes += 1
  })
  const table = sheds.table()
  const apply = (...events: PublicEvent[]) => table.apply({ after: undefined, events, mark })
  const begin = async (...pages: PublicEvent[][]) => {
    for (const [page, events] of pages.entries()) {
      await table.stage({ bootstrapId: 'b', page, events })
    }
    const about = { bootstrapId: 'b', after: undefined, mark, cause: { kind: 'FIRST' } as const }
    await table.swap(about)
  }
  return { sheds, apply, begin, logged, changes: () => changes }
}

test('an action holds from its event until it is withdrawn', async () => {
  const { sheds, apply, begin, changes } = shedsOf()
  expect(sheds.rankFor(chat)).toBeUndefined()
  await begin([])
  await apply(shedEvent({ class: 'standard' }))
  expect(sheds.rankFor(chat)).toBe(1)
  await apply(shedEvent({ class: 'standard', withdrawnMs: 9n }))
  expect(sheds.rankFor(chat)).toBeUndefined()
  expect(changes()).toBe(3)
})

test('actions of other kinds shed nothing and tell nobody', async () => {
  const { sheds, apply, changes } = shedsOf()
  await apply(
    shedEvent({ action: ActionStep_Action.PREEMPT }),
    shedEvent({ action: ActionStep_Action.SCALE }),
    { ...shedEvent(), type: 'serverlessai.events.v1.StatementClosed' },
  )
  expect(sheds.rankFor(chat)).toBeUndefined()
  expect(changes()).toBe(0)
})

test('a new present replaces what was known, all its pages at once', async () => {
  const { sheds, begin } = shedsOf()
  await begin([shedEvent({ actionId: 'x', class: 'interactive' })])
  expect(sheds.rankFor(chat)).toBe(0)
  await begin([shedEvent()], [shedEvent({ actionId: 'y', class: 'standard' })])
  expect(sheds.rankFor(chat)).toBe(1)
  await begin([])
  expect(sheds.rankFor(chat)).toBeUndefined()
})

test('a class that is none of the gateway is ignored and told once', async () => {
  const { sheds, apply, begin, logged } = shedsOf()
  const unknown = shedEvent({ class: 'gold' })
  await begin([unknown])
  await apply(unknown)
  await begin([unknown, shedEvent({ actionId: 'y', class: 'gold' })])
  expect(sheds.rankFor(chat)).toBeUndefined()
  expect(logged).toEqual([
    {
      level: 'warn',
      message: 'a class that is to be shed is none of the gateway',
      class: 'gold',
      objective: 'fast',
    },
  ])
})
