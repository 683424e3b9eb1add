import { expect, it } from 'vitest'
import { journalBreaches, workloadOf } from './workload.ts'

const jobs = [
  { jobId: 'a', exclusive: true },
  { jobId: 'b', exclusive: false },
]
const line = (jobId: string, generation: number, what: string, rank = 0) => {
  return { jobId, generation, rank, what }
}

it('the result of a job is that of ten steps of its generator', () => {
  const { result } = workloadOf(7, { journal: '/j', stepMs: 50 })
  let value = 7
  for (let step = 0; step < 10; step += 1) {
    value = (Math.imul(value, 1_103_515_245) + 12_345) & 0x7fff_ffff
  }
  expect(result).toBe(value)
})

it('a journal of one generation after the other is in order', () => {
  const lines = [line('a', 1, 'start'), line('a', 1, '1'), line('a', 2, 'start'), line('a', 2, '1')]
  expect(journalBreaches([...lines, line('b', 1, 'start')], jobs)).toEqual([])
})

it('generations of a job that is not exclusive may overlap', () => {
  const lines = [line('b', 1, 'start'), line('b', 2, 'start'), line('b', 1, '1')]
  expect(journalBreaches([line('a', 1, 'start'), ...lines], jobs)).toEqual([])
})

it('a second start, an overlap of an exclusive job, and a job without a start are told', () => {
  const lines = [line('a', 1, 'start'), line('a', 1, 'start'), line('a', 2, 'start')]
  expect(journalBreaches([...lines, line('a', 1, '4')], jobs)).toEqual([
    'started twice: a, generation 1, rank 0',
    'exclusive: a, generation 1, rank 0 did "4" after generation 2 had begun',
    'b never started',
  ])
})
