/**
 * The reference: what a log means, said in another way than the product says it. No fold with a
 * state per record: epochs are looked up as regions of the log, commits as the first copy of each
 * number, and the meaning of every prefix is computed anew from the list of events. It looks only
 * at what writers meant, never at bytes.
 */
import type { Body, Content, Item, Result } from './content.ts'
import { FUTURE, WINDOW } from './service-state.ts'

/** An effective commit. */
export interface EffectiveCommit {
  readonly position: number
  readonly body: Body
}

/** What the reference makes of a log. */
export interface Meaning {
  /** 1 at every effective position. */
  readonly effective: Uint8Array
  readonly commits: readonly EffectiveCommit[]
  /** Claims and commits in the order in which each builds on the one before. */
  readonly links: readonly Item[]
  /** Position of each void. */
  readonly voids: readonly { readonly position: number; readonly of: number }[]
}

const isClaimOf = (content: Content, epoch: number): boolean =>
  content.is === 'claim' && content.epoch === epoch

function firstFrom(
  items: readonly Item[],
  range: { from: number; to: number },
  wanted: (content: Content) => boolean,
): number {
  for (let at = range.from; at < range.to; at += 1) if (wanted(items[at]!.meant)) return at
  return -1
}

/**
 * Positions of the commits 0, 1, 2 … of an epoch inside its region, until one is not there or the
 * epoch was yielded.
 */
function commitsOf(
  items: readonly Item[],
  epoch: number,
  region: { from: number; to: number },
): number[] {
  const found: number[] = []
  for (let from = region.from; ; ) {
    const at = firstFrom(items, { from, to: region.to }, (content) => {
      return content.is === 'commit' && content.epoch === epoch && content.sequence === found.length
    })
    if (at < 0) return found
    found.push(at)
    const { meant } = items[at]!
    if (meant.is === 'commit' && meant.body.kind === 'yield') return found
    from = at + 1
  }
}

/** Reads a whole log. */
export function meaningOf(items: readonly Item[]): Meaning {
  const effective = new Uint8Array(items.length)
  const order: number[] = []
  let opened = firstFrom(items, { from: 0, to: items.length }, (each) => isClaimOf(each, 1))
  for (let epoch = 1; opened >= 0; epoch += 1) {
    const rest = { from: opened + 1, to: items.length }
    const next = firstFrom(items, rest, (each) => isClaimOf(each, epoch + 1))
    const region = { from: opened + 1, to: next < 0 ? items.length : next }
    order.push(opened, ...commitsOf(items, epoch, region))
    opened = next
  }
  for (const at of order) effective[at] = 1
  const voids: { position: number; of: number }[] = []
  items.forEach(({ meant }, position) => {
    if (meant.is !== 'void') return
    effective[position] = 1
    voids.push({ position, of: meant.position })
  })
  const commits = order.flatMap((position) => {
    const { meant } = items[position]!
    return meant.is === 'commit' ? [{ position, body: meant.body }] : []
  })
  return { effective, commits, links: order.map((at) => items[at]!), voids }
}

/** Digest of the state that a reader has who has read everything below `next`. */
export function digestAt({ commits, voids }: Meaning, next: number): number {
  const skipped = new Set(voids.filter((each) => each.position < next).map((each) => each.of))
  let digest = 17
  for (const { position, body } of commits) {
    if (position >= next) break
    if (skipped.has(position)) continue
    for (const { request, key, on } of body.events) {
      digest = (Math.imul(digest, 31) + request * 16 + key * 2 + Number(on)) | 0
    }
  }
  return digest
}

/** What a request should come to when it is decided at `at` by one who has the keys `on`. */
export function expectedResult(
  request: { key: number; on: boolean; idTime: number },
  state: { keys: ReadonlySet<number>; at: number },
): Result {
  const age = state.at - request.idTime
  if (age > WINDOW) return 'old'
  if (age < -FUTURE) return 'future'
  return state.keys.has(request.key) === request.on ? 'no' : 'ok'
}
