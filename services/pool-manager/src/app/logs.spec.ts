import type { ReadLogsResponse } from '@serverless-ai/contracts/pool/v1/pool'
import { afterEach, expect, test } from 'vitest'
import { PoolRig } from '../testing/pool-rig.ts'
import type { ScriptedAgent } from '../testing/scripted-agent.ts'

let rig: PoolRig | undefined

/** Two nodes with a running rank each. */
async function running(): Promise<{ rig: PoolRig; one: ScriptedAgent; two: ScriptedAgent }> {
  const started = new PoolRig()
  rig = started
  await started.start()
  const one = started.connect('n1', 's1')
  const two = started.connect('n2', 's1')
  await started.run(one.desired(0))
  await started.run(two.desired(0))
  await launch(started, 1)
  await started.run(one.desired(1))
  await started.run(two.desired(1))
  return { rig: started, one, two }
}

async function launch(rig: PoolRig, generation: number): Promise<void> {
  await rig.place('j-0-1', generation, ['n1', 'n2'])
  await rig.prepare('j-0-1', generation, 2)
}

afterEach(async () => {
  await rig?.stop()
  rig = undefined
})

const key = (rank: number, generation = 1) => ({ jobId: 'j-0-1', gang: 0, generation, rank })
const request = { jobId: 'j-0-1', generation: 0, tailLines: 0, follow: false, rank: undefined }

async function collect(pieces: AsyncIterable<ReadLogsResponse>): Promise<readonly string[]> {
  const texts: string[] = []
  for await (const { rank, data, note, firstFailing } of pieces) {
    const flag = firstFailing ? '!' : ''
    texts.push(`${rank}${flag}: ${note === '' ? Buffer.from(data).toString() : `(${note})`}`)
  }
  return texts
}

/** Answers the next log request with text. */
async function answer(rig: PoolRig, agent: ScriptedAgent, text: string): Promise<void> {
  const asked = await rig.run(agent.next('logRequest'))
  agent.logChunk(asked.id, text, true)
}

test('the rank that failed first comes on top', async () => {
  const { rig, one, two } = await running()
  two.report(1, [{ key: key(1), state: 'EXITED', exitCode: 3 }])
  await rig.run(two.next('reportAck'))
  const texts = collect(rig.client().readLogs(request))
  await answer(rig, two, 'boom\n')
  await answer(rig, one, 'fine\n')
  expect(await rig.run(texts)).toEqual(['1!: boom\n', '0: fine\n'])
})

test('a piece of the log ends at a line', async () => {
  const { rig, one } = await running()
  const texts = collect(rig.client().readLogs({ ...request, rank: 0 }))
  const asked = await rig.run(one.next('logRequest'))
  expect(asked).toMatchObject({ key: key(0), follow: false, windowChunks: 32 })
  one.logChunk(asked.id, 'a\nb', false)
  one.logChunk(asked.id, 'c\nd', false)
  one.logChunk(asked.id, '', true)
  expect(await rig.run(texts)).toEqual(['0: a\n', '0: bc\n', '0: d'])
})

test('credit is given back as the reader takes pieces', async () => {
  const { rig, one } = await running()
  const texts = collect(rig.client().readLogs({ ...request, rank: 0 }))
  const asked = await rig.run(one.next('logRequest'))
  for (let i = 0; i < 8; i += 1) one.logChunk(asked.id, `${i}\n`, false)
  expect(await rig.run(one.next('logCredit'))).toMatchObject({ id: asked.id, chunks: 8 })
  one.logChunk(asked.id, '', true)
  expect(await rig.run(texts)).toHaveLength(8)
})

test('a reader that goes away cancels the request at the agent', async () => {
  const { rig, one } = await running()
  const stop = new AbortController()
  const texts = collect(
    rig.client().readLogs({ ...request, rank: 0, follow: true }, { signal: stop.signal }),
  ).catch((error: unknown) => [String(error)])
  const asked = await rig.run(one.next('logRequest'))
  stop.abort()
  await rig.run(texts)
  expect(await rig.run(one.next('logCancel'))).toMatchObject({ id: asked.id })
})

test('following spans generations and ends with the job', async () => {
  const { rig, one, two } = await running()
  const texts = collect(rig.client().readLogs({ ...request, follow: true }))
  await answer(rig, one, 'first 0\n')
  await answer(rig, two, 'first 1\n')
  one.report(1, [{ key: key(0), state: 'EXITED', exitCode: 1 }])
  two.report(1, [{ key: key(1), state: 'EXITED', exitCode: 1 }])
  await rig.run(two.next('reportAck'))
  await rig.release('j-0-1', 1, 'RECOVER')
  await launch(rig, 2)
  await answer(rig, one, 'second 0\n')
  await answer(rig, two, 'second 1\n')
  await rig.release('j-0-1', 2, 'FINISHED')
  expect([...(await rig.run(texts))].sort()).toEqual([
    '0: first 0\n',
    '0: second 0\n',
    '1: first 1\n',
    '1: second 1\n',
  ])
})

test('following goes on where it was when the agent comes back', async () => {
  const { rig, one } = await running()
  const texts = collect(rig.client().readLogs({ ...request, rank: 0, follow: true }))
  const asked = await rig.run(one.next('logRequest'))
  one.logChunk(asked.id, 'line 1\nline', false)
  await rig.ports.time.advance(100)
  one.hangUp()
  await rig.until((state) => state.nodes.get('n1')?.state.at === 'Disconnected')
  const back = rig.connect('n1', 's1')
  const again = await rig.run(back.next('logRequest'))
  back.logChunk(again.id, 'line 1\nline 2\n', true)
  await rig.release('j-0-1', 1, 'FINISHED')
  const note = 'node n1 is away; its log goes on here when it is back'
  expect(await rig.run(texts)).toEqual(['0: line 1\n', `0: (${note})`, '0: line 2\n'])
})

test('logs of another tenant do not exist, of one that is away are not readable now', async () => {
  const { rig, one, two } = await running()
  await expect(
    rig.run(collect(rig.client('token-team-b').readLogs(request))),
  ).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'JOB_NOT_FOUND' })
  const executions = rig.client('token-team-b').listExecutions({ jobId: 'j-0-1', minPosition: '' })
  await expect(rig.run(executions)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  one.hangUp()
  two.hangUp()
  await rig.until((state) =>
    [...state.nodes.values()].every((node) => node.state.at === 'Disconnected'),
  )
  await expect(
    rig.run(collect(rig.client('token-team-a').readLogs(request))),
  ).rejects.toMatchObject({ code: 'UNAVAILABLE', reason: 'NODE_AWAY' })
})

test('lists are paged, in order, and say what is used', async () => {
  const { rig, one } = await running()
  one.report(1, [{ key: key(0), state: 'RUNNING' }])
  await rig.run(one.next('reportAck'))
  const client = rig.client('token-team-a')
  const first = await rig.run(client.listNodes({ pageSize: 1, pageToken: '', minPosition: '' }))
  expect(first.nodes.map((node) => [node.nodeId, node.devicesUsed])).toEqual([['n1', 1]])
  const rest = await rig.run(
    client.listNodes({ pageSize: 1, pageToken: first.nextPageToken, minPosition: first.position }),
  )
  expect(rest.nodes.map((node) => node.nodeId)).toEqual(['n2'])
  expect(rest.nextPageToken).toBe('')
  const broken = client.listNodes({ pageSize: 2_000, pageToken: '', minPosition: '' })
  await expect(rig.run(broken)).rejects.toMatchObject({ reason: 'INVALID_PAGE' })
  const executions = await rig.run(client.listExecutions({ jobId: 'j-0-1', minPosition: '' }))
  expect(executions.executions.map((each) => [each.rank, each.nodeId, each.state])).toEqual([
    [0, 'n1', 2],
    [1, 'n2', 1],
  ])
})
