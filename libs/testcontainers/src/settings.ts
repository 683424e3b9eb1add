import type { NodeShape } from './platform.ts'

/** What a builder collects. */
export interface Settings {
  nodes: number
  shape: NodeShape
  config: Readonly<Record<string, unknown>>
  retries: boolean
}

/** Before anything was said. */
export const defaultSettings = (): Settings => ({
  nodes: 3,
  shape: {},
  config: {},
  retries: true,
})

/** Names of the nodes, as the all-in-one gives them. */
export const nodeIdsOf = ({ nodes }: Pick<Settings, 'nodes'>): readonly string[] =>
  Array.from({ length: nodes }, (_, index) => `n${index + 1}`)

/** Keys of the all-in-one's configuration. */
export function configOf({ nodes, shape, config }: Settings): Record<string, unknown> {
  const { gpu, count, memoryMib } = shape
  return {
    quickstart: false,
    nodes,
    ...(gpu !== undefined && { deviceModel: gpu }),
    ...(count !== undefined && { devicesPerNode: count }),
    ...(memoryMib !== undefined && { deviceMemoryMib: memoryMib }),
    ...config,
  }
}
