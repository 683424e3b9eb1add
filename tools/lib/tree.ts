import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './paths.ts'

/** Files that git tracks or would track, relative to the root. */
export function listTree(): string[] {
  const args = ['ls-files', '-co', '--exclude-standard', '-z']
  const out = execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 64 << 20 })
  return out.split('\0').filter((path) => path !== '' && existsSync(join(ROOT, path)))
}

export function readText(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}
