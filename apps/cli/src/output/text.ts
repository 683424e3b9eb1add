/** Most of a sentence in a column of a table, characters. */
const CELL_MAX = 60

/** A sentence for a column of a table: its beginning; elsewhere it is told whole. */
export const shortened = (text: string): string =>
  text.length <= CELL_MAX ? text : `${text.slice(0, CELL_MAX - 1)}…`

/** Rows as aligned columns; the first row is the heading. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length)
    })
  }
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd()
  return `${rows.map(line).join('\n')}\n`
}

/** `0.4 s`, `12 s`, `3 min 5 s`, `2 h 4 min`, `3 d 2 h`. */
export function duration(ms: number): string {
  if (ms < 9_950) return `${(Math.max(0, ms) / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`
  const hours = Math.floor(minutes / 60)
  return hours < 48
    ? `${hours} h ${minutes % 60} min`
    : `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** Time since `ms`, or `-` for a time that is not known. */
export function age(ms: bigint | number, nowMs: number): string {
  return Number(ms) === 0 ? '-' : duration(nowMs - Number(ms))
}

/** Time of day with ms, local. */
export function clockTime(ms: bigint | number): string {
  const date = new Date(Number(ms))
  const two = (value: number) => String(value).padStart(2, '0')
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')
  return `${time}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

const dot = (value: number) => String(Number(value.toFixed(2)))

/** `1.5 CPU` */
export const cpu = (millis: bigint | number): string => `${dot(Number(millis) / 1000)} CPU`

/** `512 MiB`, `2 GiB` */
export function memory(mib: bigint | number): string {
  const value = Number(mib)
  if (value < 1024) return `${value} MiB`
  return value < 1024 * 1024 ? `${dot(value / 1024)} GiB` : `${dot(value / 1024 / 1024)} TiB`
}

/** `100 MiB`, `3.2 KiB` */
export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB']
  let value = count
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${dot(value)} ${units[unit]}`
}

/** `1 job`, `2 jobs` */
export const count = (n: number, thing: string): string => `${n} ${thing}${n === 1 ? '' : 's'}`

/** `4 devices, 2 CPU`; empty when there is nothing. */
export function resources(init: {
  readonly devices: number
  readonly cpuMillis: bigint
  readonly memoryMib: bigint
}): string {
  const parts = [
    init.devices > 0 ? count(init.devices, 'device') : '',
    init.cpuMillis > 0n ? cpu(init.cpuMillis) : '',
    init.memoryMib > 0n ? memory(init.memoryMib) : '',
  ]
  return parts.filter(Boolean).join(', ')
}

/** Text of others, safe to show: no control characters (but tab, newline) to rewrite a terminal. */
export const plain = (text: string): string =>
  text.replace(/\p{Cc}/gu, (character) => (/[\t\n]/.test(character) ? character : ''))
