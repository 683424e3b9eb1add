// One example of each public event, in the JSON form of protobuf. A story: the job j-0-7f3a of team
// vision is submitted, placed on two nodes, reports, loses a node, and succeeds.
const JOB = { jobId: 'j-0-7f3a', gang: 0, generation: 1 }
const AT_MS = '1767323045000'

/** Examples by short name. */
export const SAMPLES: Readonly<Record<string, object>> = {
  JobSubmitted: {
    jobId: JOB.jobId,
    tenant: 'vision',
    queue: 'vision-train',
    name: 'digits',
    restartsMax: 3,
    userRestartsMax: 1,
    backoffMs: '5000',
    atMs: AT_MS,
  },
  LaunchPrepared: {
    ...JOB,
    tenant: 'vision',
    command: ['node', 'train.js'],
    env: { WORLD_SIZE: '2', MASTER_PORT: '29400' },
    rankEnv: [{ env: { RANK: '0' } }, { env: { RANK: '1' } }],
    stopGraceMs: '10000',
    logMaxBytes: '67108864',
  },
  QueueChanged: { queue: { name: 'vision-train', tenant: 'vision', weight: 2, priority: 10 } },
  JobStateChanged: {
    jobId: JOB.jobId,
    tenant: 'vision',
    queue: 'vision-train',
    name: 'digits',
    state: 'Running',
    generation: 1,
    atMs: AT_MS,
  },
  GangPlaced: {
    ...JOB,
    tenant: 'vision',
    nodes: ['n-1', 'n-2'],
    nodeOfRank: [0, 1],
    deviceIndexes: [0, 3],
    rank0Ports: [29400],
    perTask: { devices: 1, cpuMillis: '4000', memoryMib: '16384' },
    masterAddress: '10.0.0.1',
    nodeEmulated: [false, false],
  },
  GangReleased: { jobId: JOB.jobId, gang: 0, throughGeneration: 1, cause: 'RECOVER' },
  NodeChanged: {
    node: { nodeId: 'n-1', state: 'STATE_READY', sinceMs: AT_MS },
    cause: 'registered',
  },
  NodeLost: { nodeId: 'n-2', silentMs: '21500', atMs: AT_MS },
  TaskStarted: { ...JOB, rank: 1, nodeId: 'n-2', startedMs: AT_MS },
  TaskExited: {
    ...JOB,
    rank: 1,
    nodeId: 'n-2',
    exit: { cause: 'CAUSE_EXITED', exitCode: 0, atMs: AT_MS },
  },
  TaskReported: {
    ...JOB,
    rank: 0,
    kind: 'checkpoint',
    json: '{"type":"checkpoint","step":120,"path":"j-0-7f3a/0/1/step-120"}',
    line: '12',
  },
  DevicesFreed: { ...JOB, ranks: [1], nodeId: 'n-2' },
  IncidentChanged: {
    incident: {
      incidentId: 'i-0-19c2',
      ...JOB,
      tenant: 'vision',
      blame: 'BLAME_INFRASTRUCTURE',
      cause: 'NODE_LOST',
      occurredMs: AT_MS,
      detectedMs: AT_MS,
      resumedFromStep: '120',
    },
  },
  CheckpointRegistered: {
    checkpoint: {
      jobId: JOB.jobId,
      generation: 1,
      step: '120',
      path: 'j-0-7f3a/0/1/step-120',
      bytes: '1048576',
      registeredMs: AT_MS,
    },
    tenant: 'vision',
  },
}
