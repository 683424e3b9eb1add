/** Nodes of the simulated world. */
import type { Observation } from '../../check/types.ts'
import type { Scenario } from '../../scenarios/types.ts'
import type { World } from '../../world/types.ts'
import { type ControlPlane, TOKENS } from '../control-plane.ts'
import type { SimNode } from '../types.ts'
import { Gangs } from './gangs.ts'
import { scriptOf } from './script.ts'
import { createNode } from './sim-node.ts'

export { Gangs } from './gangs.ts'
export { commandOf, QUIET_SCRIPT, scriptOf } from './script.ts'
export { createNode } from './sim-node.ts'

/** Models of the accelerators, by number of the node. */
const MODELS = ['A100-40G', 'H100-80G'] as const

/** What nodes need. */
export interface NodesInit {
  readonly world: World
  readonly scenario: Scenario
  readonly plane: Pick<ControlPlane, 'addressOf'>
  readonly observe: (observation: Observation) => void
}

/** Makes the nodes of a scenario, `node-1` to `node-N`; start their supervisors. */
export function createNodes({ world, scenario, plane, observe }: NodesInit): readonly SimNode[] {
  const gangs = new Gangs(world, world.random.fork())
  return Array.from({ length: scenario.nodes }, (_, index) => {
    const name = `node-${index + 1}`
    return createNode(
      {
        world,
        name,
        devices: scenario.devicesPerNode,
        model: MODELS[index % MODELS.length] ?? 'A100-40G',
        poolAddress: plane.addressOf('pool-manager'),
        token: TOKENS.node(name),
        leaseMs: scenario.leaseMs,
        observe,
        scripts: scriptOf,
      },
      gangs,
    )
  })
}
