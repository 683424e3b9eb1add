/** Voids of an administrator: what is looked at before one is written, and writing it. */
import {
  AppendRefusedError,
  type Commit,
  decodeRecord,
  encodeVoid,
  type LogAddress,
  LogOutOfRangeError,
  type LogRecord,
  sha256,
} from '@serverless-ai/eventlog'
import { type Message, RpcError } from '@serverless-ai/kernel'
import type { RuntimeContext } from './context.ts'
import { errorText, logBlocked, outcomeUnknown } from './errors.ts'
import { foldUpTo, PastNotKeptError } from './loader.ts'
import { FoldError } from './partition.ts'
import type { VoidOutcome, VoidRequest } from './types.ts'

/** An append without an answer is made again so often, each time after twice as long. */
const ATTEMPTS = 5
const RETRY_MS = 200

type Refused = (reason: string, message: string) => RpcError

const outOfRange = (message: string): RpcError =>
  new RpcError({ code: 'OUT_OF_RANGE', reason: 'POSITION_OUT_OF_RANGE', message })

/**
 * Voids the domain events of one record. Whether this process leads, or its partition has stopped,
 * does not matter: the log says what counts. Tried on a state of its own first.
 */
export async function voidRecord<S, C extends Message, E extends Message>(
  context: RuntimeContext<S, C, E>,
  address: LogAddress,
  request: VoidRequest,
): Promise<VoidOutcome> {
  const { position, validateOnly = false } = request
  const metadata = { service: context.definition.name, position: `${position}` }
  const refused: Refused = (reason, message) =>
    new RpcError({ code: 'FAILED_PRECONDITION', reason, message, metadata })
  const record = await recordAt(context, address, position)
  const recordHash = Buffer.from(sha256(record.value)).toString('hex')
  const commit = commitIn(record)
  if (commit === undefined || commit.events.length === 0) {
    throw refused('VOID_MISMATCH', `record ${position} holds no domain events`)
  }
  if (request.recordHash === '' ? !validateOnly : request.recordHash !== recordHash) {
    const message = `record ${position} is ${recordHash}, not '${request.recordHash}'`
    throw refused('VOID_MISMATCH', `${message}: look at it first, without a change`)
  }
  const alreadyVoid = await tryVoid(context, address, { position, recordHash, refused })
  const events = commit.events.map(({ type, data }) => ({ type, data }))
  const outcome = { recordHash, events, atMs: Number(commit.atMs), alreadyVoid }
  if (validateOnly || alreadyVoid) return { ...outcome, voidPosition: 0 }
  const value = encodeVoid({
    position: BigInt(position),
    recordHash: Buffer.from(recordHash, 'hex'),
  })
  const voidPosition = await append(context, address, value)
  context.logger.log('warn', 'a record was voided', { position, recordHash, voidPosition })
  return { ...outcome, voidPosition }
}

async function recordAt<S, C extends Message, E extends Message>(
  { environment }: RuntimeContext<S, C, E>,
  address: LogAddress,
  position: number,
): Promise<LogRecord> {
  try {
    const want = { from: position, maxBytes: 1, waitMs: 0 }
    const { records } = await environment.eventLog.fetch(address, want)
    if (records[0]?.position === position) return records[0]
    throw outOfRange(`${address.topic} has no record ${position} yet`)
  } catch (error) {
    if (!(error instanceof LogOutOfRangeError)) throw error
    throw outOfRange(`${error.message}: that past is not kept, or not written yet`)
  }
}

function commitIn({ value }: LogRecord): Commit | undefined {
  const { body } = decodeRecord(value)
  return body?.$case === 'commit' ? body.value : undefined
}

/** Folds the log to its end without the events. True when they are void already. */
async function tryVoid<S, C extends Message, E extends Message>(
  context: RuntimeContext<S, C, E>,
  address: LogAddress,
  what: { readonly position: number; readonly recordHash: string; readonly refused: Refused },
): Promise<boolean> {
  const { position, recordHash, refused } = what
  const { end } = await context.environment.eventLog.range(address)
  let counted = false
  let lowest = Number.POSITIVE_INFINITY
  let voided = false
  try {
    await foldUpTo(context, address, {
      position: end - 1,
      voids: [{ position, recordHash }],
      applied: (record, applied) => {
        lowest = Math.min(lowest, record.position)
        counted ||= record.position === position && applied.kind === 'commit'
        voided ||= applied.kind === 'voided' && applied.position === position
      },
    })
  } catch (error) {
    if (error instanceof PastNotKeptError || error instanceof LogOutOfRangeError) {
      throw outOfRange(`${error.message}: what is before record ${position} is not kept`)
    }
    if (!(error instanceof FoldError)) throw error
    const message = `without the events of record ${position}, ${error.message}`
    throw refused('VOID_BREAKS_LOG', message)
  }
  // A snapshot from behind the record is only taken when it holds the void.
  if (lowest > position) return true
  if (!counted) throw refused('VOID_MISMATCH', `record ${position} never counted`)
  return voided
}

/** Appends until the log has said yes; copies mean nothing more than one. */
async function append<S, C extends Message, E extends Message>(
  { environment, definition, ports, logger }: RuntimeContext<S, C, E>,
  address: LogAddress,
  value: Uint8Array,
): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const entries = [{ key: '', headers: {}, value }]
      return (await environment.eventLog.append(address, entries)).position
    } catch (error) {
      logger.log('warn', 'a void has to be appended again', { error: errorText(error) })
      if (attempt >= ATTEMPTS) {
        if (error instanceof AppendRefusedError) throw logBlocked(definition.name, error)
        throw outcomeUnknown(definition.name)
      }
    }
    await ports.timers.sleep(RETRY_MS * 2 ** (attempt - 1))
  }
}
