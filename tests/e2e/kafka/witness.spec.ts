import { expect, it } from 'vitest'
import { lies, type Testimony } from './witness.ts'

const honest: Testimony = { acknowledged: [0, 2, 3], unknown: 1, refused: [], read: [0, 1, 1, 2] }

it('finds nothing wrong with copies that an unknown outcome explains', () => {
  expect(lies({ ...honest, acknowledged: [0, 1, 3] }, [0, 1, 1, 2])).toEqual([])
  expect(lies(honest, [0, 1, 1, 2])).toEqual([])
})

it.each([
  ['an acknowledged entry is lost', honest, [0, 1, 1]],
  ['another one lies in its place', honest, [0, 1, 2, 1]],
  ['the order is wrong', { ...honest, acknowledged: [0, 2, 1] }, [0, 2, 1]],
  ['a copy has no reason', { ...honest, unknown: 0 }, [0, 1, 1, 2]],
  ['the follower saw something else', { ...honest, read: [0, 1, 2] }, [0, 1, 1, 2]],
  ['the follower saw too much', { ...honest, read: [0, 1, 1, 2, 3] }, [0, 1, 1, 2]],
])('tells that %s', (_, testimony, log) => {
  expect(lies(testimony, log)).not.toEqual([])
})
