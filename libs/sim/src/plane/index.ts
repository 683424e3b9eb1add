/** The control plane and nodes on virtual time, for programs that drive them by themselves. */
export { CALM_LINK } from '../faults/strikes.ts'
export { type Scenario, scenarioOf } from '../scenarios/index.ts'
export { createWorld, type ProcessContext, type SimTime, type World } from '../world/index.ts'
export { ControlPlane, TOKENS } from './control-plane.ts'
export { commandOf, createNodes, QUIET_SCRIPT } from './nodes/index.ts'
export type { SimNode, TaskScript } from './types.ts'
