import process, { argv, env, exit } from 'node:process'
import { EXIT, messageOf, WorkloadError } from './errors.ts'
import { launchFromEnv, optionsFromArgv } from './launch.ts'
import { type Gang, openGang } from './ring.ts'
import { StopSwitch, Training } from './train.ts'

/** Trains this rank; ends with one of {@link EXIT}. */
async function main(): Promise<number> {
  const stop = new StopSwitch()
  let gang: Gang | undefined
  // Before the gang is whole there is nothing to finish or to save.
  const asked = (code: number) => () => (gang === undefined ? exit(code) : stop.request(code))
  process.on('SIGTERM', asked(EXIT.terminated))
  process.on('SIGINT', asked(EXIT.interrupted))
  const options = optionsFromArgv(argv.slice(2))
  const launch = launchFromEnv()
  const log = (line: string) => console.log(line)
  const training = new Training({ launch, options, stop, log })
  const { rendezvousTimeoutMs, peerTimeoutMs } = options
  gang = await openGang({ ...launch, rendezvousTimeoutMs, peerTimeoutMs, log })
  const { rank, worldSize, localRank, localWorldSize, groupRank, generation } = launch
  log(
    `rank ${rank} of ${worldSize} (local ${localRank} of ${localWorldSize}, node ${groupRank}) ` +
      `trains in generation ${generation}`,
  )
  try {
    return await training.run(gang)
  } finally {
    await gang.leave()
  }
}

/** What still holds the process open after this time is not waited for. */
const DRAIN_MS = 1000

/**
 * Ends by running out of work. `exit` joins V8's worker threads at once, while one of them may be
 * compiling and wait for this thread (nodejs/node#54918): the process would then stay for ever.
 */
function end(code: number): void {
  process.exitCode = code
  setTimeout(() => exit(code), DRAIN_MS).unref()
}

main().then(end, (error: unknown) => {
  const rank = env['RANK'] ?? '0'
  console.error(`digits: rank ${rank}: ${messageOf(error)}`)
  if (!(error instanceof WorkloadError) && error instanceof Error) console.error(error.stack)
  end(error instanceof WorkloadError ? error.exitCode : EXIT.software)
})
