import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
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
  shareWriter(join(outRoot, GEN))
  const set = join(outRoot, GEN, 'descriptors.binpb')
  execFileSync('buf', ['build', '-o', set, '--as-file-descriptor-set'], options)
  generateEvents(outRoot)
  generateOpenApi(set, outRoot)
  const telemetry = join('libs', 'telemetry', 'src', 'generate', 'main.ts')
  // From the sources: nothing is built yet on a fresh checkout.
  const sources = '--conditions=sai-source'
  execFileSync(process.execPath, [sources, telemetry, outRoot], options)
}

const OWN_WRITER = /Buffer\.from\((\w+)\.encode\(value\)\.finish\(\)\)/g

/**
 * ts-proto makes a writer for each message of a call, lets it grow and copies the bytes twice; the
 * definitions of services encode with `encodeMessage` instead.
 */
function shareWriter(gen: string): void {
  const encode = join(gen, '..', 'encode.ts')
  for (const name of readdirSync(gen, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue
    const file = join(gen, name)
    const text = readFileSync(file, 'utf8')
    const shared = text.replaceAll(OWN_WRITER, 'encodeMessage($1, value)')
    if (shared === text) continue
    const line = `import { encodeMessage } from "${relative(dirname(file), encode)}";\n`
    writeFileSync(file, shared.replace(/^import /m, `${line}import `))
  }
}
