import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, renameSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { ROOT } from './root.ts'

const FETCH_TIMEOUT_MS = 300_000

/**
 * Folder of the jars of `infra/kafka/pom.xml`, in the user's cache; fetched by Maven the first
 * time, which throws where that cannot be had.
 */
export function kafkaJars(): string {
  const pom = join(ROOT, 'infra/kafka/pom.xml')
  const version = createHash('sha256').update(readFileSync(pom)).digest('hex').slice(0, 12)
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
  const jars = join(cache, 'serverless-ai', `kafka-${version}`)
  if (existsSync(jars)) return jars
  const half = `${jars}.${process.pid}`
  const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${half}`]
  execFileSync('mvn', ['-q', '-B', '-f', pom, ...goal], {
    timeout: FETCH_TIMEOUT_MS,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  renameSync(half, jars)
  return jars
}
