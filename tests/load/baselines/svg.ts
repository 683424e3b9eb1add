import type { Score } from './cell.ts'
import type { CellReport } from './study.ts'

/** A case of the study as its result file has it. */
export interface StudyCell extends CellReport {
  readonly trace: string
  readonly startupMs: number
  /** Absent: that of the fixed fleet. */
  readonly budget?: number
}

/** What is read of the result file. */
export interface StudyFile {
  readonly stretches: readonly {
    readonly results: readonly { readonly ok: boolean; readonly facts: StudyCell }[]
  }[]
}

const WIDTH = 300
const HEIGHT = 210
const LEFT = 46
const TOP = 34
const RIGHT = 12
const BOTTOM = 34
/** Attainment that the axis begins with. */
const LOWEST = 0.8

const KINDS = [
  { prefix: 'kpa ', label: 'KPA', color: '#d95f02' },
  { prefix: 'hpa ', label: 'HPA, outstanding', color: '#7570b3' },
  { prefix: 'hpa-queue ', label: 'HPA, queue', color: '#66a61e' },
  { prefix: 'static', label: 'fixed 16', color: '#666666' },
  { prefix: 'oracle', label: 'oracle', color: '#1b9e77' },
  { prefix: 'ours', label: 'ours', color: '#e7298a' },
] as const

const kindOf = (policy: string) => KINDS.find(({ prefix }) => policy.startsWith(prefix))!

/** Filled: all limits of the objective hold. */
function point(score: Score, x: number, y: number): string {
  const { color } = kindOf(score.policy)
  const fill = score.met ? color : 'none'
  const title = `${score.policy}: ${score.deviceHours} device hours, ${score.attainment * 100} %`
  const big = score.policy === 'ours' || score.policy === 'oracle' || score.policy === 'static'
  const [cx, cy] = [x.toFixed(1), y.toFixed(1)]
  const look = `r="${big ? 5 : 3}" fill="${fill}" stroke="${color}"`
  return `<circle cx="${cx}" cy="${cy}" ${look}><title>${title}</title></circle>`
}

function text(x: number, y: number, content: string, extra = ''): string {
  return `<text x="${x}" y="${y}" ${extra}>${content}</text>`
}

/** Cells of a row: a trace and a budget. */
const rowOf = ({ trace, budget = 16 }: StudyCell): string =>
  budget > 16 ? `${trace}, up to ${budget}` : trace

function panel(cell: StudyCell): string {
  const most = cell.static.deviceHours * ((cell.budget ?? 16) > 16 ? 1.55 : 1.08)
  const xOf = (hours: number) => LEFT + (hours / most) * (WIDTH - LEFT - RIGHT)
  const bottom = HEIGHT - BOTTOM
  const yOf = (share: number) =>
    bottom - ((Math.max(LOWEST, share) - LOWEST) / (1 - LOWEST)) * (bottom - TOP)
  const saving = (cell.oracleSaving * 100).toFixed(1)
  const lines = [
    text(LEFT, 14, `${rowOf(cell)}, start-up ${cell.startupMs / 1_000} s`, 'class="title"'),
    text(LEFT, 27, `the oracle saves ${saving} %`),
    `<path d="M${LEFT} ${TOP}V${bottom}H${WIDTH - RIGHT}" class="axis"/>`,
  ]
  for (const share of [0.8, 0.85, 0.9, 0.95, 0.99, 1]) {
    const y = yOf(share)
    lines.push(`<path d="M${LEFT} ${y.toFixed(1)}H${WIDTH - RIGHT}" class="grid"/>`)
    if (share !== 1) lines.push(text(LEFT - 5, y + 3, `${share * 100} %`, 'class="end"'))
  }
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const hours = cell.static.deviceHours * part
    lines.push(text(xOf(hours), bottom + 14, hours.toFixed(0), 'class="middle"'))
  }
  lines.push(text((LEFT + WIDTH) / 2, bottom + 27, 'device hours', 'class="middle"'))
  const all = [...cell.sweep, cell.static, cell.oracle, cell.ours]
  const drawn = all.filter(({ deviceHours }) => deviceHours <= most)
  lines.push(...drawn.map((one) => point(one, xOf(one.deviceHours), yOf(one.attainment))))
  return lines.join('\n')
}

function legend(y: number): string {
  const keys = KINDS.map(({ label, color }, index) => {
    const x = LEFT + index * 150
    return `<circle cx="${x}" cy="${y}" r="5" fill="${color}"/>${text(x + 10, y + 4, label)}`
  })
  const note = 'filled: all nine limits hold; below 80 %: at the bottom'
  return [...keys, text(LEFT, y + 22, note)].join('\n')
}

const STYLE = `text{font:10px sans-serif;fill:#222}.title{font-weight:bold;font-size:11px}
.axis{fill:none;stroke:#222}.grid{stroke:#ddd}.end{text-anchor:end}.middle{text-anchor:middle}`

/** Attainment against device hours: rows are traces, columns are start-up times. */
export function drawStudy(file: StudyFile): string {
  const cells = file.stretches.flatMap(({ results }) =>
    results.filter(({ ok }) => ok).map(({ facts }) => facts),
  )
  const rows = [...new Set(cells.map(rowOf))]
  const startups = [...new Set(cells.map(({ startupMs }) => startupMs))].sort((a, b) => a - b)
  const panels = cells.map((cell) => {
    const x = startups.indexOf(cell.startupMs) * WIDTH
    const y = rows.indexOf(rowOf(cell)) * HEIGHT
    return `<g transform="translate(${x} ${y})">\n${panel(cell)}\n</g>`
  })
  const width = Math.max(startups.length * WIDTH, LEFT + KINDS.length * 150)
  const height = rows.length * HEIGHT + 60
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">`,
    `<style>${STYLE}</style>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...panels,
    legend(rows.length * HEIGHT + 20),
    '</svg>\n',
  ].join('\n')
}
