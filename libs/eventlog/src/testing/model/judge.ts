import { promised } from './breakages.ts'
import type { Consumer } from './consumer.ts'
import type { Request } from './content.ts'
import { digestAt, expectedResult, type Meaning, meaningOf } from './reference.ts'
import type { World } from './world.ts'

interface Executed {
  readonly result: string
  readonly position: number
}

/** Every reader called the same records effective, and they are the ones. (P2) */
function judgeReaders({ verdicts, items }: World, meaning: Meaning): void {
  for (const { position, effective } of verdicts) {
    promised(effective === (meaning.effective[position] === 1), 'P2', () => {
      const { meant } = items[position]!
      const read = effective ? 'effective' : 'void'
      return `position ${position} was read as ${read}: ${JSON.stringify(meant)}`
    })
  }
  meaning.links.forEach((item, index) => {
    if (item.after < 0) return
    const before = meaning.links[index - 1]?.serial ?? 0
    promised(item.after === before, 'P2', () => `record ${item.serial} builds on ${item.after}`)
  })
}

/** Each request was carried out at most once, and came to what it should. (P1) */
function judgeAnswers(
  meaning: Meaning,
  requests: ReadonlyMap<number, Request>,
): Map<number, Executed> {
  const executed = new Map<number, Executed>()
  const keys = new Set<number>()
  let at = 0
  for (const { position, body } of meaning.commits) {
    promised(body.at >= at, 'P1', () => `log time goes back at ${position}`)
    at = body.at
    for (const { request, result } of body.answers) {
      const asked = requests.get(request)!
      const wanted = expectedResult(asked, { keys, at })
      const same = wanted === result || meaning.voids.length > 0
      promised(same, 'P1', () => `request ${request} came to ${result}, not ${wanted}`)
      if (result === 'old' || result === 'future') continue
      promised(!executed.has(request), 'P1', () => `request ${request} was carried out twice`)
      executed.set(request, { result, position })
      if (result === 'ok') {
        if (asked.on) keys.add(asked.key)
        else keys.delete(asked.key)
      }
    }
  }
  return executed
}

/** Whatever a client was told is in the effective log, and was not stale. (P1, P3) */
function judgeAcknowledged(
  world: World,
  meaning: Meaning,
  executed: ReadonlyMap<number, Executed>,
): void {
  const byPosition = new Map(meaning.commits.map((each) => [each.position, each.body]))
  for (const { request, result, position, startedAfter } of world.acknowledged) {
    if (position < 0) {
      const known = executed.get(request)
      promised(known?.result === result, 'P1', () => `request ${request} was told and is void`)
      continue
    }
    const answers = byPosition.get(position)?.answers ?? []
    const found = answers.some((each) => each.request === request && each.result === result)
    promised(found, 'P1', () => `request ${request} was told ${result}, not in ${position}`)
    promised(position > startedAfter, 'P3', () => `request ${request} was answered on stale state`)
  }
}

/** Nobody was shown a state that is none of the log's prefixes. (P4, P8) */
function judgeShown({ shown, end }: World, meaning: Meaning): void {
  const digests = new Array<number | undefined>(end + 2)
  for (const { what, next, digest } of shown) {
    digests[next] ??= digestAt(meaning, next)
    const promise = what === 'snapshot' ? 'P8' : 'P4'
    promised(digests[next] === digest, promise, () => `${what} at ${next} is of no point in time`)
  }
}

/** Public events are dense, and the topic holds them in order. (P5) */
function judgePublics(world: World, meaning: Meaning): number[] {
  const publics: number[] = []
  for (const { body } of meaning.commits) {
    body.seqs.forEach((seq, index) => {
      publics.push(body.events[index]!.request)
      promised(seq === publics.length, 'P5', () => `seq ${seq} instead of ${publics.length}`)
    })
  }
  let highest = 0
  for (const { seq, request } of world.topic) {
    promised(publics[seq - 1] === request, 'P5', () => `the topic holds a void event ${seq}`)
    promised(seq <= highest + 1, 'P5', () => `false gap: ${seq} after ${highest}`)
    highest = Math.max(highest, seq)
  }
  promised(highest === publics.length, 'P5', () => {
    return `public events are lost: ${publics.length - highest} of ${publics.length} never left`
  })
  return publics
}

/** A consumer took each event once, in order, or knows that it missed some. (P5) */
function judgeConsumer(consumer: Consumer, publics: readonly number[]): void {
  const { taken, seq } = consumer
  taken.forEach((event, index) => {
    const wanted = seq - taken.length + 1 + index
    promised(event.seq === wanted && publics[wanted - 1] === event.request, 'P5', () => {
      return `the consumer took ${event.seq} for ${wanted}`
    })
  })
  const silent = seq !== publics.length && !consumer.knowsOfGap
  promised(
    !silent,
    'P5',
    () => `the consumer is at ${seq} of ${publics.length} and thinks all is well`,
  )
}

/** Effects were applied, only those of effective commits, none lost. (P9) */
function judgeEffects({ performed }: World, meaning: Meaning): void {
  const wanted = new Set<number>()
  for (const { body } of meaning.commits) for (const each of body.events) wanted.add(each.request)
  for (const request of performed) {
    promised(wanted.has(request), 'P9', () => `effect of ${request} although its commit is void`)
  }
  for (const request of wanted) {
    promised(performed.has(request), 'P9', () => `effect of ${request} was lost`)
  }
}

/** Checks a finished history against the reference. Returns its meaning; throws PromiseBroken. */
export function judge(history: {
  world: World
  requests: ReadonlyMap<number, Request>
  consumer: Consumer
}): Meaning {
  const { world, requests, consumer } = history
  const meaning = meaningOf(world.items)
  judgeReaders(world, meaning)
  const executed = judgeAnswers(meaning, requests)
  judgeAcknowledged(world, meaning, executed)
  judgeShown(world, meaning)
  judgeConsumer(consumer, judgePublics(world, meaning))
  judgeEffects(world, meaning)
  return meaning
}
