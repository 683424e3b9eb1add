/** When a standby claims. */

/** What the health service is asked for. */
export const claimName = (
  service: string,
  partition: number,
  claim: { readonly epoch: number; readonly claimId: string },
): string => `${service}/${partition}/${claim.epoch}/${claim.claimId}`
