/** Injection tokens of this service. */

/** Runtime of the pool manager. */
export const POOL_RUNTIME = Symbol('POOL_RUNTIME')
/** Application layer of the pool manager. */
export const POOL_APP = Symbol('POOL_APP')
