import type { Logger } from '@serverless-ai/kernel'

/** Says nothing. */
export const silent: Logger = { log: () => undefined, child: () => silent }
