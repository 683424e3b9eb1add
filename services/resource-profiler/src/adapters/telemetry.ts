/** Batches of agents → samples that can be, and what the others are refused for. */
import type {
  CpuTrace,
  DeviceSample,
  NodeSample,
  Sample,
  TaskSample,
  TelemetryBatch,
} from '@serverless-ai/contracts/telemetry/v1/telemetry'
import { NAME_MAX } from '@serverless-ai/telemetry-bus'
import type { NodeMarks, Rejection, SampleFact } from '../core/samples.ts'

const SAMPLES_MAX = 10_000
const STRETCHES_MAX = 1_000
/** Ranges: nothing on earth is above. */
const MEMORY_MAX_MIB = 1_000_000_000
const POWER_MAX_WATTS = 100_000
const CELSIUS_MIN = -60
const CELSIUS_MAX = 250
const CORES_MAX = 4_096

const safe = (value: bigint | number | undefined): number => Number(value ?? 0)

/** Absent is fine: it is not known. */
const within = (value: bigint | number | undefined, least: number, most: number): boolean => {
  if (value === undefined) return true
  const number = Number(value)
  return number >= least && number <= most
}

const memory = (value: bigint | undefined): boolean => within(value, 0, MEMORY_MAX_MIB)

/** A part is no more than its whole; readings of both are not of one moment. */
const fits = (part: bigint | undefined, whole: bigint | undefined): boolean =>
  part === undefined || whole === undefined || Number(part) <= Number(whole) * 1.02 + 16

type Counters = readonly (readonly [name: string, value: bigint | undefined])[]

const countersOf = (all: Counters): ReadonlyMap<string, number> =>
  new Map(all.flatMap(([name, value]) => (value === undefined ? [] : [[name, Number(value)]])))

const countersHold = (all: Counters): boolean =>
  all.every(([, value]) => within(value, 0, Number.MAX_SAFE_INTEGER))

function traceHolds(trace: CpuTrace | undefined): boolean {
  if (trace === undefined) return true
  const { stretchUs, cpuUs } = trace
  if (stretchUs.length !== cpuUs.length || stretchUs.length > STRETCHES_MAX) return false
  return stretchUs.every((us, index) => {
    const used = cpuUs[index] ?? 0
    // Counters are told in clock ticks: one more may stand in a stretch than fits.
    return us >= 10_000 && us <= 1_000_000 && used <= us * CORES_MAX + 20_000
  })
}

interface Told {
  readonly nodeId: string
  readonly fact: Omit<SampleFact, 'atMs'>
}

function ofNode(node: NodeSample): Told {
  const counters: Counters = [
    ['cpuUs', node.cpuUsTotal],
    ['cpuPressureUs', node.cpuPressureUsTotal],
    ['memoryPressureUs', node.memoryPressureUsTotal],
    ['ioPressureUs', node.ioPressureUsTotal],
  ]
  const { memoryUsedMib, memoryTotalMib } = node
  const inRange =
    countersHold(counters) && memory(memoryTotalMib) && fits(memoryUsedMib, memoryTotalMib)
  const of = about(node, counters)
  return { nodeId: node.nodeId, fact: { entity: `node ${of.source}`, inRange, ...of } }
}

function ofTask(task: TaskSample): Told {
  const counters: Counters = [
    ['cpuUs', task.cpuUsTotal],
    ['readBytes', task.readBytesTotal],
    ['writtenBytes', task.writtenBytesTotal],
  ]
  const { jobId, gang, generation, rank } = task
  const inRange =
    jobId !== '' &&
    jobId.length <= NAME_MAX &&
    countersHold(counters) &&
    memory(task.memoryUsedMib) &&
    memory(task.memoryPeakMib) &&
    within(task.step, 0, Number.MAX_SAFE_INTEGER) &&
    traceHolds(task.cpuTrace)
  const of = about(task, counters)
  const entity = `task ${jobId}/${gang}/${generation}/${rank} ${of.source}`
  return { nodeId: task.nodeId, fact: { entity, inRange, ...of } }
}

function ofDevice(device: DeviceSample): Told {
  const counters: Counters = [['energyMj', device.energyMjTotal]]
  const inRange =
    countersHold(counters) &&
    within(device.busyPct, 0, 100) &&
    memory(device.memoryTotalMib) &&
    fits(device.memoryUsedMib, device.memoryTotalMib) &&
    within(device.powerWatts, 0, POWER_MAX_WATTS) &&
    within(device.temperatureCelsius, CELSIUS_MIN, CELSIUS_MAX)
  const of = about(device, counters)
  const entity = `device ${device.deviceIndex} ${of.source}`
  return { nodeId: device.nodeId, fact: { entity, inRange, ...of } }
}

const about = (
  { reading }: Pick<NodeSample, 'reading'>,
  counters: Counters,
): Pick<SampleFact, 'source' | 'ageMs' | 'counters'> => ({
  source: reading?.source ?? '',
  ageMs: safe(reading?.ageMs),
  counters: countersOf(counters),
})

function toldOf({ value }: Sample): Told | undefined {
  switch (value?.$case) {
    case 'node':
      return ofNode(value.value)
    case 'task':
      return ofTask(value.value)
    case 'device':
      return ofDevice(value.value)
    default:
      return undefined
  }
}

/** Why the envelope of a batch cannot be; empty = it can. */
export function envelopeProblem(batch: TelemetryBatch | undefined): string {
  if (batch === undefined) return 'there is no batch'
  const { source, bootId, seq, samples } = batch
  if (!/^node\/.{1,190}$/.test(source)) return 'source is not node/<node id>'
  if (bootId === '' || bootId.length > NAME_MAX) return 'boot_id is missing or too long'
  if (seq < 1n || seq > BigInt(Number.MAX_SAFE_INTEGER)) return 'seq does not begin at 1'
  if (samples.length > SAMPLES_MAX) return `more than ${SAMPLES_MAX} samples`
  return ''
}

/** Samples of a node's batch that can be, and how many are refused for what. */
export function checkSamples(
  batch: TelemetryBatch,
  node: { readonly nodeId: string; readonly marks: NodeMarks },
  nowMs: number,
): { readonly samples: Sample[]; readonly rejected: readonly Rejection[] } {
  const rejected: Rejection[] = []
  const samples = batch.samples.filter((sample) => {
    const told = toldOf(sample)
    const why =
      told === undefined
        ? 'SAMPLE_KIND'
        : told.nodeId !== node.nodeId
          ? 'SAMPLE_FOREIGN'
          : node.marks.take({ ...told.fact, atMs: safe(sample.atMs) }, nowMs)
    if (why !== undefined) rejected.push(why)
    return why === undefined
  })
  return { samples, rejected }
}
