import type { BlobStore } from '@serverless-ai/mediator/install'

/**
 * The store of a mediator whose users upload nothing: simulated jobs carry their program with them.
 */
export const emptyBlobStore: BlobStore = {
  maxTotalMib: 0,
  has: async () => false,
  receive: async () => {
    throw new Error('there are no workspaces in the simulated world')
  },
  open: async () => undefined,
  makeRoom: async () => false,
}
