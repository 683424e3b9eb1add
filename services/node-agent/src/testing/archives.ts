import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'

/** An entry of an archive made by hand, so that it may be a wicked one. */
export interface RawEntry {
  readonly path: string
  readonly text?: string
  /** Tar type flag: `0` file, `1` link, `2` symbolic link, `5` directory. */
  readonly flag?: '0' | '1' | '2' | '5'
  readonly link?: string
  readonly mode?: number
  /** Size that the header claims; that of `text` unless given. */
  readonly bytes?: number
}

function header(entry: RawEntry): Buffer {
  const { path, text = '', flag = '0', link = '', mode = 0o644 } = entry
  const { bytes = Buffer.byteLength(text) } = entry
  const block = Buffer.alloc(512)
  const octal = (value: number, length: number) => `${value.toString(8).padStart(length, '0')}\0`
  block.write(path, 0)
  block.write(octal(mode, 7), 100)
  block.write(octal(0, 7), 108)
  block.write(octal(0, 7), 116)
  block.write(octal(bytes, 11), 124)
  block.write(octal(0, 11), 136)
  block.write('        ', 148)
  block.write(flag, 156)
  block.write(link, 157)
  block.write('ustar\x0000', 257)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

/** A gzipped tar of the entries, as they are. */
export function rawArchive(entries: readonly RawEntry[]): Buffer {
  const blocks = entries.flatMap((entry) => {
    const data = Buffer.from(entry.text ?? '')
    return [header(entry), data, Buffer.alloc((512 - (data.length % 512)) % 512)]
  })
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]))
}

/** Name of a workspace with that content. */
export function workspaceName(archive: Buffer): string {
  return `sha256:${createHash('sha256').update(archive).digest('hex')}`
}
