import { spec } from '@serverless-ai/testing'
import { expect, it } from 'vitest'
import {
  cancel,
  enqueue,
  freed,
  node,
  queue,
  schedulerDecider,
  started,
} from '../testing/commands.ts'
import { snapshotFeed } from './public-events.ts'

it('the present state tells a gang that is released until all of it is given back', () => {
  const given = spec(schedulerDecider).after(queue('q'), node('n1'), enqueue('a', { tasks: 2 }))
  const told = () =>
    [...snapshotFeed(given.state)]
      .filter(({ key }) => key === 'a')
      .map(({ type }) => type.split('.').at(-1))
  expect(told()).toEqual(['GangPlaced', 'JobStateChanged'])
  given.after(started('a', 1, 0, 1), cancel('a'), freed('a', 1, 0))
  // Whoever has missed both could not give the rest back otherwise.
  expect(told()).toEqual(['GangPlaced', 'GangReleased', 'JobStateChanged'])
  given.after(freed('a', 1, 1))
  expect(told()).toEqual(['GangReleased', 'JobStateChanged'])
})
