import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { generateEvents } from './events/generate-events.ts'
import { generateOpenApi } from './openapi/generate-openapi.ts'
import { ROOT, toolEnv } from './paths.ts'

const GEN = join('libs', 'contracts', 'src', 'gen')

/**
 * Generates the contracts from `proto/`, the documents of the public events, and reference and
 * dashboards of the metrics.
 *
 * @param outRoot directory below which `libs/contracts/src/gen` and `docs/reference/events` are
 *   written; the repository itself unless a check wants to compare.
 */
export function generate(outRoot: string = ROOT): void {
  const options = { cwd: ROOT, env: toolEnv(), stdio: 'inherit' } as const
  execFileSync('buf', ['generate', '--output', outRoot], options)
  const set = join(outRoot, GEN, 'descriptors.binpb')
  execFileSync('buf', ['build', '-o', set, '--as-file-descriptor-set'], options)
  generateEvents(outRoot)
  generateOpenApi(set, outRoot)
  const telemetry = join('libs', 'telemetry', 'src', 'generate', 'main.ts')
  // From the sources: nothing is built yet on a fresh checkout.
  const sources = '--conditions=sai-source'
  execFileSync(process.execPath, [sources, telemetry, outRoot], options)
}
