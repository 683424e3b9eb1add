/** A gang is placed whole or not at all, released as a whole, and each rank is freed once. */
import { placementOf } from './ledger.ts'
import { generationText, isEnd, placeText } from './names.ts'
import type { EventSeen } from './seen.ts'
import type { WatcherFactory, WatcherInit } from './watcher.ts'

type Value<T extends EventSeen['body']['is']> = Extract<
  EventSeen['body'],
  { is: T; value: unknown }
>['value']

function placed({ alarm, ledger }: WatcherInit, value: Value<'GangPlaced'>, at: EventSeen): void {
  const { jobId, gang: number, generation } = value
  const what = `${generationText(jobId, number, generation)} is placed in ${placeText(at)}`
  const tell = (text: string): void => alarm(jobId, `${what}: ${text}`)
  const job = ledger.jobs.get(jobId)
  if (job === undefined) {
    tell('this job was never queued')
    return
  }
  const { nodes, devices, perTask, exclusive, ports } = placementOf(value, at)
  const ranks = job.least === job.most ? job.tasks : `${job.least} to ${job.most}`
  const whole = `the gang has ${ranks} ranks of ${job.perTask.devices} devices`
  if (nodes.length < job.least || nodes.length > job.most)
    tell(`${nodes.length} ranks got a node, ${whole}`)
  if (nodes.includes('')) tell(`rank ${nodes.indexOf('')} has no node`)
  if (
    perTask.devices !== job.perTask.devices ||
    devices.some((d) => d.length !== perTask.devices)
  ) {
    tell(`ranks got ${devices.map((d) => d.length).join(', ')} devices, ${whole}`)
  }
  if (value.deviceIndexes.length > nodes.length * perTask.devices) {
    tell(`${value.deviceIndexes.length} devices are named, ${whole}`)
  }
  if (ports.length !== job.rank0Ports) {
    tell(`rank 0 got ${ports.length} ports, it needs ${job.rank0Ports}`)
  }
  if (exclusive !== job.exclusive) {
    tell(`placed as ${exclusive ? '' : 'not '}exclusive, queued as the opposite`)
  }
  if (isEnd(job.state)) tell(`the job is ${job.state} since ${placeText(job.changed)}`)
  const gang = job.gangs.get(number)
  if (job.serves && gang?.over !== undefined) tell(`the gang is over since ${placeText(gang.over)}`)
  if (job.serves === (number === 0))
    tell(`gang ${number} of a job of ${job.serves ? 'replicas' : 'one gang'}`)
  if (gang !== undefined && gang.releasedThrough < gang.generation) {
    const before = ledger.placement({ jobId, gang: number, generation: gang.generation })
    const where = before === undefined ? '' : `, placed in ${placeText(before.at)},`
    tell(`generation ${gang.generation}${where} is not released`)
  }
}

function released({ alarm, ledger }: WatcherInit, value: Value<'GangReleased'>, at: EventSeen) {
  const { jobId, gang: number, throughGeneration: through, cause } = value
  const name = generationText(jobId, number, through)
  const what = `${name} is released (${cause}) in ${placeText(at)}`
  const gang = ledger.gang(jobId, number)
  const placedNow = gang?.generation ?? 0
  if (through !== placedNow) {
    alarm(jobId, `${what}: the newest generation is ${placedNow}, a gang is released as a whole`)
  }
  const before = gang?.releases.find((one) => one.through === through)
  if (before !== undefined) alarm(jobId, `${what}: it was released in ${placeText(before.at)}`)
}

function freed({ alarm, ledger }: WatcherInit, value: Value<'DevicesFreed'>, at: EventSeen): void {
  const { jobId, gang, generation, ranks, nodeId } = value
  const what = `devices of ${generationText(jobId, gang, generation)} on ${nodeId} are freed in`
  const tell = (text: string): void => alarm(jobId, `${what} ${placeText(at)}: ${text}`)
  const placement = ledger.placement(value)
  if (placement === undefined) {
    tell('this generation was never placed')
    return
  }
  for (const rank of ranks) {
    const node = placement.nodes[rank]
    if (node !== nodeId) tell(`rank ${rank} is on ${node ?? 'no node'}`)
    if (placement.freed.has(rank)) tell(`rank ${rank} was freed before, and it is freed once`)
  }
}

/** Follows gangs through their generations. */
export const gangs: WatcherFactory = (init) => ({
  event(event) {
    const { body } = event
    if (body.is === 'GangPlaced') placed(init, body.value, event)
    else if (body.is === 'GangReleased') released(init, body.value, event)
    else if (body.is === 'DevicesFreed') freed(init, body.value, event)
  },
})
