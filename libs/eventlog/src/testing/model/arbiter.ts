import { type Arbitrated, type ArbitrationState, arbitrate, nextChain } from '../../arbitration.ts'
import { sameBytes } from '../../record.ts'
import type { Broken } from './breakages.ts'
import type { Item } from './content.ts'

/** The product's arbitration, or one with a rule left out. */
export type Arbiter = (state: ArbitrationState, item: Item, voided: boolean) => Arbitrated

const product: Arbiter = (state, item) => arbitrate(state, item.bytes, item.record)

/** A tick or yield is chained but not numbered. */
const unnumberedTicks: Arbiter = (state, item, voided) => {
  const { read } = item
  const { epoch, open, nextSequence } = state
  if (read.is !== 'commit' || read.body.kind === 'normal' || read.epoch !== epoch || !open) {
    return product(state, item, voided)
  }
  const body = item.record.body
  if (body?.$case === 'commit' && !sameBytes(body.value.prev, state.chain)) {
    return { verdict: 'damaged', state, reason: 'another prev' }
  }
  const chain = nextChain(state.chain, item.bytes)
  const next = { epoch, open: read.body.kind !== 'yield', nextSequence, chain }
  return { verdict: 'effective', state: next, reason: '' }
}

/** A claim must follow the last effective record. */
const claimWithPrev: Arbiter = (state, item, voided) => {
  const body = item.record.body
  const result = product(state, item, voided)
  if (body?.$case !== 'claim' || result.verdict !== 'effective') return result
  return sameBytes(Buffer.from(body.value.address, 'latin1'), state.chain)
    ? result
    : { verdict: 'damaged', state, reason: 'another prev' }
}

/** A voided record is no record. */
const voidRemovesRecord: Arbiter = (state, item, voided) =>
  voided ? { verdict: 'void', state, reason: 'voided' } : product(state, item, voided)

/** The arbitration to run. */
export function arbiterFor(broken: Broken): Arbiter {
  if (broken.unnumberedTicks) return unnumberedTicks
  if (broken.claimWithPrev) return claimWithPrev
  if (broken.voidRemovesRecord) return voidRemovesRecord
  return product
}
