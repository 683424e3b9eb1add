import { invariant } from '@serverless-ai/kernel'
import type { JobSpec } from '../job-spec.ts'
import type { Placement } from '../model.ts'

/** How the tasks of a generation start: environment of all ranks, and of each (index = rank). */
export interface LaunchContract {
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly rankEnv: readonly Readonly<Record<string, string>>[]
}

/** Names the platform sets; a description may not set them. Names starting with `SAI_` neither. */
export const RESERVED_ENV: readonly string[] = [
  'RANK',
  'WORLD_SIZE',
  'LOCAL_RANK',
  'LOCAL_WORLD_SIZE',
  'GROUP_RANK',
  'GROUP_WORLD_SIZE',
  'MASTER_ADDR',
  'MASTER_PORT',
  'TORCHELASTIC_RESTART_COUNT',
  'TORCHELASTIC_RUN_ID',
]

/**
 * The launch contract of torchrun-style training, as torch.distributed.elastic documents its
 * environment: one process per rank, the ranks of one node form a group. A group's number follows
 * the first rank on its node, a local rank the order of the ranks on the node.
 */
export function torchrunContract(
  job: { readonly jobId: string; readonly spec: JobSpec },
  placement: Placement,
): LaunchContract {
  const { jobId, spec } = job
  const { nodeOfRank, rank0Ports } = placement
  const fixed = spec.elastic === undefined
  const fits = !fixed || nodeOfRank.length === spec.tasks
  invariant(fits, `${jobId}: placed tasks differ from the description`)
  const groups = new Map<number, { readonly number: number; size: number }>()
  const localRanks = nodeOfRank.map((node) => {
    const group = groups.get(node) ?? { number: groups.size, size: 0 }
    groups.set(node, group)
    group.size += 1
    return group.size - 1
  })
  const rankEnv = nodeOfRank.map((node, rank) => ({
    RANK: String(rank),
    LOCAL_RANK: String(localRanks[rank]),
    LOCAL_WORLD_SIZE: String(groups.get(node)?.size),
    GROUP_RANK: String(groups.get(node)?.number),
  }))
  const env: Record<string, string> = {
    ...spec.env,
    WORLD_SIZE: String(nodeOfRank.length),
    GROUP_WORLD_SIZE: String(groups.size),
    MASTER_ADDR: placement.masterAddress,
    TORCHELASTIC_RESTART_COUNT: String(placement.generation - 1),
    TORCHELASTIC_RUN_ID: jobId,
    SAI_JOB_ID: jobId,
    SAI_GANG: String(placement.gang),
    SAI_GENERATION: String(placement.generation),
  }
  // Not set at all without a checkpoint: a script asks whether it is there. Each node puts its own
  // checkpoint directory before the path.
  if (placement.checkpointPath !== '') env.SAI_RESUME_FROM = placement.checkpointPath
  const [masterPort] = rank0Ports
  if (masterPort !== undefined) {
    env.MASTER_PORT = String(masterPort)
    env.SAI_PORTS = rank0Ports.join(',')
  }
  return { command: spec.command, env, rankEnv }
}
