import type { World, WorldOptions } from './types.ts'
import { SimWorld } from './world.ts'

export * from './types.ts'

/** Makes a world. The same seed and the same programs give the same happenings, always. */
export function createWorld(options: WorldOptions): World {
  return new SimWorld(options)
}
