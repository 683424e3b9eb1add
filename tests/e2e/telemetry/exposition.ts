/** Reads the text format of Prometheus, version 0.0.4. */

/** One line with a value. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** A metric as it is written down. */
export interface Exposed {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly samples: readonly Sample[]
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"(?:,|$)/gy

function labelsOf(text: string): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {}
  let read = 0
  for (const [all, name = '', value = ''] of text.matchAll(LABEL)) {
    labels[name] = JSON.parse(`"${value}"`)
    read += all.length
  }
  if (read !== text.length) throw new SyntaxError(`not a list of labels: ${text}`)
  return labels
}

function sampleOf(line: string): Sample {
  const [, name = '', labels = '', value = ''] = LINE.exec(line) ?? []
  const number = value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value)
  if (name === '' || value === '' || Number.isNaN(number))
    throw new SyntaxError(`no sample: ${line}`)
  return { name, labels: labelsOf(labels), value: number }
}

/** All metrics of a text. Throws SyntaxError for what is no metric or has no HELP and TYPE. */
export function readExposition(text: string): ReadonlyMap<string, Exposed> {
  const metrics = new Map<string, { name: string; help: string; type: string; samples: Sample[] }>()
  let current: { name: string; help: string; type: string; samples: Sample[] } | undefined
  for (const line of text.split('\n').filter((one) => one !== '')) {
    const [, word, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? []
    if (word === 'HELP') {
      if (metrics.has(name)) throw new SyntaxError(`${name} comes twice`)
      current = { name, help: rest, type: '', samples: [] }
      metrics.set(name, current)
    } else if (word === 'TYPE' && current?.name === name) {
      current.type = rest
    } else {
      const sample = sampleOf(line)
      const ends = current?.type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
      if (!ends.some((end) => sample.name === `${current?.name}${end}`)) {
        throw new SyntaxError(`a sample without HELP and TYPE: ${line}`)
      }
      current?.samples.push(sample)
    }
  }
  return metrics
}
