// The broker's jars: resolved by Maven, kept in the user's cache, shared with the test suites.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../lib/paths.ts'
import { cacheDirectory } from './base.ts'
import { must } from './engine.ts'

/** Folder with the jars of `infra/kafka/pom.xml`. */
export function brokerJars(): string {
  const pom = join(ROOT, 'infra/kafka/pom.xml')
  const version = createHash('sha256').update(readFileSync(pom)).digest('hex').slice(0, 12)
  const jars = join(cacheDirectory(), `kafka-${version}`)
  if (existsSync(jars)) return jars
  const half = `${jars}.${process.pid}`
  const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${half}`]
  must('mvn', ['-q', '-B', '-f', pom, ...goal], 'the broker comes from Maven; is it installed?')
  renameSync(half, jars)
  return jars
}
