import { expect, it } from 'vitest'
import { DEFAULT_IMAGE, ServerlessAiContainer } from './container.ts'
import { engineProblem } from './engine.ts'

const image = process.env['SAI_IMAGE'] ?? DEFAULT_IMAGE
const TIMEOUT_MS = 300_000
const DATA = '/var/lib/serverless-ai'
const token = 'a-token-of-the-container-suite'

const problem = await engineProblem()
if (problem !== undefined && !process.env['CI']) {
  it.skip(`left out: ${problem}`)
} else {
  it(
    'has the given token, what is named, and no snapshots, in memory',
    async () => {
      await using platform = await new ServerlessAiContainer(image)
        .withNodes(1)
        .withAuthToken('team-a', token)
        .withServices(['sla-monitor'])
        .withReplayAlways()
        .withTmpfs()
        .start()
      expect(platform.getToken('team-a')).toBe(token)
      const queue = await platform.createQueue()
      const queues = await platform.client('team-a').queues.listQueues({
        pageSize: 10,
        pageToken: '',
        minPosition: '',
      })
      expect(queues.queues.map((one) => one.queue?.name)).toEqual([queue])
      const { partitions } = await platform.client('admin').admin.getStatus({ withDigest: false })
      const left = ['autoscaler', 'resource-profiler']
      expect(partitions.filter(({ service }) => left.includes(service))).toEqual([])
      const look = `stat -c '%a %U' tokens.json; grep ' ${DATA} ' /proc/mounts; ls snapshots`
      const { output } = await platform.exec(['sh', '-c', `cd ${DATA}; ${look}`])
      expect(output).toMatch(/^600 sai\ntmpfs .*\n$/)
    },
    TIMEOUT_MS,
  )

  it(
    'folds its whole log at each start, with the same token',
    async () => {
      await using platform = await new ServerlessAiContainer(image)
        .withNodes(0)
        .withAuthToken('admin', token)
        .withReplayAlways()
        .start()
      const queue = await platform.createQueue()
      await platform.restart({ timeout: 20_000 })
      expect(platform.getToken('admin')).toBe(token)
      const request = { pageSize: 10, pageToken: '', minPosition: '' }
      const { queues } = await platform.client('admin').queues.listQueues(request)
      expect(queues.map((one) => one.queue?.name)).toEqual([queue])
      const { output } = await platform.exec(['ls', `${DATA}/snapshots`])
      expect(output).toBe('')
    },
    TIMEOUT_MS,
  )
}
