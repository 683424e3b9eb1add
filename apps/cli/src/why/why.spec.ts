import { Reason, Reason_Code } from '@serverless-ai/contracts/common/v1/common'
import { ExplainJobResponse } from '@serverless-ai/contracts/job/v1/job'
import { describe, expect, test } from 'vitest'
import { EXPLAINED_REASONS, factsOf, factsOfDetails, reasonText, unblockText } from './reason.ts'
import { storyText } from './story.ts'

const capacity = Reason.fromJSON({
  code: 'CODE_CAPACITY_WAIT',
  shortfalls: [{ dimension: 'devices', want: 4, free: 2, total: 6 }],
  nodesTotal: 3,
  jobsAhead: 1,
})

describe('reasons', () => {
  test('every code of the closed list has a sentence and a mend', () => {
    const codes = Object.entries(Reason_Code).flatMap(([name, code]) => (code > 0 ? [name] : []))
    expect([...EXPLAINED_REASONS].sort()).toEqual(codes.sort())
  })

  test('the numbers are in the sentence', () => {
    const facts = factsOf(capacity)
    if (facts === undefined) throw new Error('no facts')
    expect(reasonText(facts)).toBe(
      'CAPACITY_WAIT: waits for free capacity: needs 4 devices, 2 of 6 free (3 nodes looked at)',
    )
    expect(unblockText(facts)).toBe(
      'It starts when 2 more devices are free: when running jobs end, or nodes are added.',
    )
  })

  test('flat details of a story say the same', () => {
    const details = {
      reason: 'CAPACITY_WAIT',
      'devices.want': '4',
      'devices.free': '2',
      'devices.total': '6',
      nodesTotal: '3',
      nodesFiltered: '0',
      jobsAhead: '1',
    }
    expect(factsOfDetails(details)).toEqual(factsOf(capacity))
  })

  test('the nearest miss names the best node', () => {
    const facts = factsOfDetails({
      reason: 'NO_MATCHING_NODE',
      'devicesPerTask.want': '3',
      'devicesPerTask.free': '2',
      'devicesPerTask.total': '2',
      'devicesPerTask.node': 'n1',
      nodesTotal: '3',
      nodesFiltered: '3',
    })
    expect(facts && reasonText(facts)).toBe(
      'NO_MATCHING_NODE: no node, even empty, can hold it: one task needs 3 devices, ' +
        'the best node n1 has 2 (3 nodes looked at, 3 of them can never hold a task of it)',
    )
  })
})

test('what an empty fleet cannot hold is not said to be free', () => {
  const short = (dimension: string, want: number, total: number, perTask = false) => ({
    dimension,
    want: BigInt(want),
    free: 1n,
    total: BigInt(total),
    nodeId: '',
    perTask,
  })
  const told = (code: string, shortfalls: ReturnType<typeof short>[]) => {
    const counts = { nodesTotal: 3, nodesFiltered: 0, jobsAhead: 0, untilMs: 0 }
    const facts = { code, shortfalls, ...counts }
    return `${reasonText(facts)} ${unblockText(facts)}`
  }
  expect(told('NO_MATCHING_NODE', [short('tasks', 40, 6), short('devices', 40, 6)])).toBe(
    'NO_MATCHING_NODE: even an empty fleet cannot hold it: room for 6 of 40 tasks; ' +
      'needs 40 devices, the fleet has 6 (3 nodes looked at) Ask for fewer tasks, or add nodes.',
  )
  expect(told('NO_MATCHING_NODE', [short('memoryMib', 4096, 2048, true)])).toContain(
    'no node, even empty, can hold it: one task needs 4 GiB, the largest node has 2 GiB (',
  )
  expect(told('EXCEEDS_QUEUE_MAX', [short('devices', 8, 4)])).toContain(
    'all by itself: needs 8 devices, the queue may hold 4 ',
  )
})

test('the story of a recovered job', () => {
  const why = ExplainJobResponse.fromJSON({
    name: 'digits',
    state: 'Running',
    generation: 2,
    position: 'scheduler:0:41:30',
    missing: ['fault-tolerance: UNAVAILABLE (away)'],
    story: [
      { code: 'SUBMITTED', details: { by: 'token:vision', queue: 'vision', tasks: '4' } },
      { code: 'QUEUED', details: { queue: 'vision', priority: '0' } },
      {
        code: 'PLACED',
        details: { generation: '1', nodes: 'n1,n2', tasksOnNode: '2,2', checkpointStep: '0' },
      },
      { code: 'LAUNCH_PREPARED', details: { generation: '1' } },
      { code: 'STARTING', details: { generation: '1' } },
      { code: 'RUNNING', details: { generation: '1' } },
      {
        code: 'INCIDENT',
        details: { generation: '1', evidence: 'rank 3 on n2 ended: SIGKILL', detectMs: '180' },
      },
      {
        code: 'JUDGED',
        details: {
          blame: 'INFRASTRUCTURE',
          cause: 'KILLED',
          summary: 'a SIGKILL nobody here sent',
          decision: 'RECOVER',
          charged: 'true',
          restartsCharged: '1',
          stepsLost: '7',
        },
      },
      {
        code: 'RECOVERING',
        details: { generation: '1', cause: 'KILLED', checkpointStep: '40', reason: 'BACKOFF' },
      },
      { code: 'RELEASED', details: { throughGeneration: '1', cause: 'RECOVER' } },
      {
        code: 'PLACED',
        details: { generation: '2', nodes: 'n1,n3', checkpointStep: '40' },
      },
      { code: 'RUNNING', details: { generation: '2' } },
      { code: 'RECOVERED', details: { recoverMs: '4200' } },
      { code: 'SOMETHING_NEW', details: { answer: '42\u001b[2J' } },
    ].map((entry, i) => ({ ...entry, service: 'scheduler', atMs: i })),
  })
  const text = storyText(why, 'j-0-abc').replaceAll(/^\d\d:\d\d:\d\d\.\d{3} {2}scheduler {2}/gm, '')
  expect(text.split('\n')).toEqual([
    'digits (j-0-abc) is Running',
    '',
    'submitted by token:vision to queue vision, 4 tasks',
    'queued in vision',
    'generation 1 placed on n1 (2), n2 (2)',
    'launch of generation 1 prepared',
    'generation 1 is starting',
    'all tasks of generation 1 run',
    'generation 1 failed, seen after 0.2 s: rank 3 on n2 ended: SIGKILL',
    'infrastructure (KILLED): a SIGKILL nobody here sent → recover, charged as ' +
      'restart 1; 7 steps are lost',
    'generation 1 is given up: KILLED; the next one starts, from the checkpoint at ' +
      'step 40; BACKOFF: waits for the end of the back-off after a failure',
    'devices of generation 1 given back (RECOVER)',
    'generation 2 placed on n1, n3, from the checkpoint at step 40',
    'all tasks of generation 2 run',
    'recovered 4.2 s after the failure',
    'something_new answer=42[2J',
    '',
    'missing: fault-tolerance: UNAVAILABLE (away)',
    'as of scheduler:0:41:30',
    '',
  ])
})

test('the story of an update', () => {
  const told = (code: string, details: Record<string, string>) => ({ atMs: '1000', code, details })
  const story = [
    told('UPDATE_STARTED', { number: '1', revision: '2', from: '1', by: 'token:a' }),
    told('READY', { gang: '3', generation: '1', cause: '' }),
    told('DRAINING', { gang: '1', untilMs: '6000', cause: 'UPDATED' }),
    told('UPDATE_STALLED', { revision: '2', cause: 'replica 4 was not ready' }),
  ]
  const why = ExplainJobResponse.fromJSON({ name: 'llm', state: 'Running', story })
  const text = storyText(why, 'j-0-1')
  for (const line of [
    'replicas become those of revision 2, after 1',
    'replica 3 takes requests',
    'replica 1 ends what it has, and gets nothing new (UPDATED)',
    'the update to revision 2 has stalled: replica 4 was not ready',
  ]) {
    expect(text).toContain(line)
  }
})
