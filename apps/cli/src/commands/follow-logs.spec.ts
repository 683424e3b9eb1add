import { rm } from 'node:fs/promises'
import type { ReadLogsResponse } from '@serverless-ai/contracts/pool/v1/pool'
import { VirtualTime } from '@serverless-ai/kernel/testing'
import { describe, expect, test } from 'vitest'
import { Bench, job, refused } from '../testing/bench.ts'
import { followLogs } from './follow-logs.ts'

const LOST = '── connection lost, trying again\n'

describe('when the control plane goes away', () => {
  /** Logs of one line, then an outage, then one line more. */
  async function follow(awayMs: number, alone: boolean) {
    const time = new VirtualTime()
    let told = ''
    let text = ''
    let backAtMs = -1
    const chunk = (line: string): ReadLogsResponse => {
      const where = { generation: 1, rank: 0, nodeId: 'n1', firstFailing: false, note: '' }
      return { ...where, data: Buffer.from(line) }
    }
    const jobs = {
      async *logs() {
        if (backAtMs < 0) {
          yield chunk('one\n')
          backAtMs = time.monotonicMs() + awayMs
        }
        if (time.monotonicMs() < backAtMs) throw refused('UNAVAILABLE', 'SERVER_STOPPING')
        yield chunk('two\n')
      },
    }
    const err = (piece: string) => {
      told += piece
    }
    const end = await time
      .run(
        followLogs({
          platform: { jobs },
          io: { err, timers: time, clock: time },
          request: { jobId: 'j' },
          print: ({ data }) => {
            text += data.toString()
          },
          signal: new AbortController().signal,
          ended: () => false,
          alone,
        }),
      )
      .then(() => 'done', String)
    return { told, text, end }
  }
  const AGAIN = '── the log was interrupted; its last lines come again\n'

  test('the log goes on minutes later', async () => {
    const { told, text, end } = await follow(200_000, true)
    expect([told, text, end]).toEqual([LOST + AGAIN, 'one\ntwo\n', 'done'])
  })

  test('beside a watch it leaves the telling to it', async () => {
    const { told, text } = await follow(400_000, false)
    expect([told, text]).toEqual([AGAIN, 'one\ntwo\n'])
  })

  test('five minutes later it gives up', async () => {
    const { told, text, end } = await follow(400_000, true)
    expect([told, text]).toEqual([LOST, 'one\n'])
    expect(end).toContain('told by the platform')
  })

  test.each([[['run', '--', 'x']], [['job', 'watch', 'train']]])(
    'sai %s says it once and goes on',
    async (argv) => {
      const bench = new Bench()
      await bench.open()
      try {
        await bench.writeContexts()
        bench.jobs = [job({ state: 'STATE_RUNNING', generation: 1 })]
        bench.changes = [...bench.jobs, job({ state: 'STATE_SUCCEEDED', generation: 1 })]
        bench.outages = 5
        const [group = '', ...rest] = argv
        expect(await bench.sai('--data', bench.directory, group, ...rest)).toBe(0)
        expect(bench.err.split('\n').filter((line) => line.includes('connection'))).toEqual([
          LOST.trim(),
        ])
        expect(bench.out + bench.err).toContain('succeeded')
      } finally {
        await rm(bench.directory, { recursive: true, force: true })
      }
    },
  )
})
