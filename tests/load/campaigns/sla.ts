import { runLedgerWalk } from '@serverless-ai/sla-monitor/testing'
import { readLedger } from '../../sla/reader.ts'
import { inPieces } from './pieces.ts'

/** Ledgers of the SLA monitor against a reader that does all sums again from public facts. */
export const slaLedger = inPieces({
  name: 'sla-ledger',
  about: 'COUNT (default 2,000,000) requests through the SLA monitor, read again independently',
  full: 2_000_000,
  slice: 40_000,
  perCase: 250_000,
  run({ seed, first, count }) {
    const walk = runLedgerWalk({ seed: seed + first, requests: count })
    const read = readLedger(walk, new Map([['j-0-1', 'chat']]))
    const { requests, repeated, lost, leaders, openBreaches } = walk
    if (read.differences > 0) throw new Error(`difference ${read.differences}: ${read.wrong[0]}`)
    if (walk.differs !== '') throw new Error(`the log folds to another state: ${walk.differs}`)
    if (openBreaches > 0) throw new Error(`${openBreaches} alerts never end`)
    const unseen = walk.sent.length - lost - read.countedBatches
    if (unseen !== 0) throw new Error(`${unseen} batches came and are not counted`)
    const { wrong: _, ...sums } = read
    return { requests, batchesRepeated: repeated, batchesLost: lost, leaders, ...sums }
  },
})
