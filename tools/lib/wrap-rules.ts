// Re-wraps comment lines that are too wide; code is biome's.

const MAX_COLUMNS = 100
const COMMENT = /^(\s*(?:\/\/|\*(?!\/)) ?)(\S.*)$/
const ONE_LINE_BLOCK = /^(\s*)\/\*\*\s+(.*?)\s*\*\/$/
// Text that starts something of its own is never joined to what stands above it.
const STARTS_ITEM = /^(@|[-*|#]|\d+\.|```|\/\/)/

function expand(line: string): string[] {
  if (line.length <= MAX_COLUMNS) return [line]
  const block = ONE_LINE_BLOCK.exec(line)
  if (block === null) return [line]
  const [, indent = '', text = ''] = block
  return [`${indent}/**`, `${indent} * ${text}`, `${indent} */`]
}

function cutAt(text: string, max: number): number {
  const cut = text.lastIndexOf(' ', max)
  return cut > 0 ? cut : text.indexOf(' ')
}

/** The text with too wide comment lines broken; what is left over flows into the next line. */
export function wrapComments(text: string): string {
  const lines = text.split('\n').flatMap(expand)
  const wrapped: string[] = []
  for (let i = 0; i < lines.length; i += 1) {
    const line = lines[i] ?? ''
    const comment = COMMENT.exec(line)
    if (line.length <= MAX_COLUMNS || comment === null) {
      wrapped.push(line)
      continue
    }
    const [, prefix = '', body = ''] = comment
    const cut = cutAt(body, MAX_COLUMNS - prefix.length)
    if (cut < 0) {
      wrapped.push(line)
      continue
    }
    wrapped.push(prefix + body.slice(0, cut))
    const rest = body.slice(cut + 1)
    const next = COMMENT.exec(lines[i + 1] ?? '')
    const joins = next !== null && next[1] === prefix && !STARTS_ITEM.test(next[2] ?? '')
    if (joins) lines[i + 1] = `${prefix}${rest} ${next[2]}`
    else lines.splice(i + 1, 0, prefix + rest)
  }
  return wrapped.join('\n')
}
