import type { PlatformClient } from '@serverless-ai/client'
import {
  ExplainProfileResponse,
  ForecastResponse,
  GetProfileResponse,
  ListProfilesResponse,
  type Profile,
} from '@serverless-ai/contracts/profile/v1/profile'
import type { Command } from 'commander'
import { type Globals, resolveConnection, withPlatform } from '../context.ts'
import { datedStory } from '../output/story.ts'
import { forecastText, profilesText, profileText } from './profile-text.ts'
import { answer, type CommandScope, resolveJobId, wholeNumber, withGlobals } from './shared.ts'

/** Pages read before a list is cut, 1,000 entries each. */
const PAGES_MAX = 10
const HORIZON_MAX_S = 600

interface ProfileOptions extends Globals {
  readonly forecast?: boolean
  readonly horizon: number
  readonly explain?: boolean
}

async function allProfiles({ profiles: calls }: PlatformClient): Promise<Profile[]> {
  const all: Profile[] = []
  let pageToken = ''
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const request = { pageSize: 1_000, pageToken, minPosition: '' }
    const { profiles, nextPageToken } = await calls.listProfiles(request)
    all.push(...profiles)
    if (nextPageToken === '') break
    pageToken = nextPageToken
  }
  return all
}

/** `sai profile [JOB]` */
export function addProfile(program: Command, scope: CommandScope): void {
  const { io, checkout } = scope
  const show = async (platform: PlatformClient, typed: string, options: ProfileOptions) => {
    const jobId = await resolveJobId(platform, typed)
    const { profiles } = platform
    if (options.forecast === true) {
      const horizonMs = BigInt(options.horizon * 1_000)
      const told = await profiles.forecast({ jobId, horizonMs, minPosition: '' })
      answer(io, options, { json: ForecastResponse.toJSON(told), text: () => forecastText(told) })
      return
    }
    if (options.explain === true) {
      const told = await profiles.explainProfile({ jobId, untilMs: 0n })
      const json = ExplainProfileResponse.toJSON(told)
      answer(io, options, { json, text: () => datedStory(told.story) })
      return
    }
    const told = await profiles.getProfile({ jobId, minPosition: '' })
    const { profile } = told
    answer(io, options, {
      json: GetProfileResponse.toJSON(told),
      text: () => (profile === undefined ? '' : profileText(profile)),
    })
  }
  withGlobals(program.command('profile'))
    .description('how jobs use what they are given, what would be enough, what load comes')
    .argument('[job]', 'name, id or unique beginning of an id; without one: all profiles')
    .option('--forecast', 'the load to come of a service')
    .option(
      '--horizon <seconds>',
      'how far ahead, 10 to 600',
      wholeNumber('--horizon', 10, HORIZON_MAX_S),
      60,
    )
    .option('--explain', 'what was found out about it, and when')
    .action(async (typed: string | undefined, options: ProfileOptions) => {
      const connection = resolveConnection({ globals: options, io, checkout })
      await withPlatform(io, connection, async (platform) => {
        if (typed !== undefined) return show(platform, typed, options)
        const profiles = await allProfiles(platform)
        const json = ListProfilesResponse.toJSON({ profiles, nextPageToken: '', position: '' })
        answer(io, options, { json, text: () => profilesText(profiles) })
      })
    })
}
