import {
  Indicator,
  Objective,
  ObjectiveServiceService,
} from '@serverless-ai/contracts/objective/v1/objective'
import {
  RequestRecord,
  RequestRecord_Outcome,
} from '@serverless-ai/contracts/telemetry/v1/telemetry'
import { memoryCell } from '@serverless-ai/hosting/testing'
import { uuidV7 } from '@serverless-ai/kernel'
import { openInProcessBus, type TelemetryBus } from '@serverless-ai/telemetry-bus'
import { expect, it } from 'vitest'
import { installSlaMonitor } from '../install.ts'

const ADDRESSES = ['127.0.0.1:1001', '127.0.0.1:1002']

it('a change of the leader loses no batch and counts none twice', async () => {
  const { ports, time, process: make, following } = memoryCell({ seed: 3 })
  const bus = openInProcessBus(time)
  // Ends with its own process alone, like a reader of a broker.
  const own = (): TelemetryBus => ({ ...bus, close: () => Promise.resolve() })
  const processes = ADDRESSES.map((listen, index) => {
    const replica = `r${index + 1}`
    const peers = { 'sla-monitor': ADDRESSES.join(',') }
    const process = make({ listen, replica, replicas: ['r1', 'r2'], peers, telemetry: own() })
    return { process, ...installSlaMonitor(process.kit) }
  })
  await time.run(Promise.all(processes.map(({ process }) => process.start())))
  const target = { address: ADDRESSES.join(','), token: 'admin' }
  const client = following.client(ObjectiveServiceService, target)
  const requestId = uuidV7(time.wallMs(), ports.randomness.bytes(10))
  const objective = Objective.fromPartial({
    name: 'answered',
    indicator: Indicator.AVAILABILITY,
    targetPpm: 990_000,
  })
  await time.run(client.createObjective({ requestId, objective, validateOnly: false }))
  let sent = 0
  const send = (): void => {
    sent += 1
    const fields = { jobId: 'j-0-1', tenant: 'team-a', outcome: RequestRecord_Outcome.OK }
    const value = RequestRecord.fromPartial(fields)
    const sample = {
      atMs: BigInt(time.wallMs()),
      value: { $case: 'request' as const, value },
    }
    bus.publish({
      source: 'gateway/r1',
      bootId: 'b1',
      seq: BigInt(sent),
      sentMs: BigInt(time.wallMs()),
      droppedSamples: 0n,
      samples: [sample],
    })
  }
  const during = async (seconds: number): Promise<void> => {
    for (let n = 0; n < seconds * 5; n += 1) {
      send()
      await time.advance(200)
    }
  }
  // Some have come and are not counted yet.
  await during(10.6)
  const leader = processes.find(({ runtime }) => runtime.status().role === 'Leading')
  const other = processes.find((one) => one !== leader)
  expect(other?.runtime.status().role).toBe('Following')
  const stopped = leader?.process.stop()
  await during(20)
  await time.run(Promise.resolve(stopped))
  expect(other?.runtime.status().role).toBe('Leading')
  await time.advance(5_000)
  const request = { objective: 'answered', minPosition: '' }
  const { status, sources } = await time.run(client.getObjectiveStatus(request))
  expect(status?.counts).toMatchObject({ good: BigInt(sent), bad: 0n, late: 0n })
  expect(sources).toMatchObject([
    { batches: BigInt(sent), missingBatches: 0n, lostBatches: 0n, state: 'OK' },
  ])
  await time.run(Promise.resolve(other?.process.stop()))
})
