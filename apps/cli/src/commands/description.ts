import { readFile } from 'node:fs/promises'
import { parseDocument } from 'yaml'
import { CliError } from '../exit.ts'
import type { Io } from '../io.ts'

/** The description of a job in a file, or from standard input (`-`). */
export async function readDescription(
  file: string,
  io: Pick<Io, 'readStdin'>,
): Promise<{ readonly manifest: string; readonly fileName: string }> {
  if (file === '-') return { manifest: await io.readStdin(), fileName: 'standard input' }
  try {
    return { manifest: await readFile(file, 'utf8'), fileName: file }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    throw new CliError('FILE_UNREADABLE', `${file} cannot be read (${code})`)
  }
}

/** The description with the name of an uploaded directory in it. */
export function withWorkspace(manifest: string, workspace: string): string {
  const description = parseDocument(manifest)
  description.setIn(['spec', 'workspace'], workspace)
  return description.toString()
}
