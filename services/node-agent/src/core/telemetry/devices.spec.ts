import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { recorded } from '../../testing/recorded.ts'
import { parseDcgm } from './dcgm.ts'
import { parseNpuSmi } from './npu-smi.ts'
import { parseNvidiaSmiReadings } from './nvidia-smi.ts'
import type { DeviceReading } from './readings.ts'
import { parseRocmSmi } from './rocm-smi.ts'

/** Without what is not known. */
const known = (readings: readonly DeviceReading[]) =>
  readings.map((reading) =>
    Object.fromEntries(Object.entries(reading).filter(([, value]) => value !== undefined)),
  )

describe('nvidia-smi', () => {
  it('with MIG: the board says what it draws and holds, not how busy it is', () => {
    expect(known(parseNvidiaSmiReadings(recorded('nvidia-smi-h200-mig.txt')))).toEqual([
      {
        source: 'nvidia-smi',
        index: 0,
        model: 'NVIDIA H200',
        memoryUsedMib: 55,
        memoryTotalMib: 143_771,
        powerWatts: 78.28,
        temperatureCelsius: 28,
        healthy: true,
      },
    ])
  })

  it('a value that cannot be read is not known; the others are', () => {
    const base = { source: 'nvidia-smi', model: 'NVIDIA RTX A6000', healthy: true }
    const memory = { memoryUsedMib: 6, memoryTotalMib: 49_140 }
    expect(known(parseNvidiaSmiReadings(recorded('nvidia-smi-a6000-errors.txt')))).toEqual([
      { ...base, ...memory, index: 0 },
      { ...base, ...memory, index: 1, powerWatts: 25.02, temperatureCelsius: 32 },
      { ...base, ...memory, index: 2, powerWatts: 15.47 },
    ])
  })

  it('a device that is lost is at fault, and what is no device is left out', () => {
    const lost = '3, [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost]'
    const text = `Warning: infoROM is corrupted\n${lost}, [GPU is lost], [GPU is lost]\n`
    expect(known(parseNvidiaSmiReadings(text))).toEqual([
      { source: 'nvidia-smi', index: 3, model: 'NVIDIA (unknown)', healthy: false },
    ])
  })
})

describe('dcgm-exporter', () => {
  it('reads percent, MiB, watts and millijoules; reserved memory is memory', () => {
    expect(known(parseDcgm(recorded('dcgm-l40s.txt')))).toEqual([
      {
        source: 'dcgm',
        index: 0,
        model: 'NVIDIA L40S',
        busyPct: 0,
        memoryUsedMib: 0,
        memoryTotalMib: 46_067,
        powerWatts: 35.686,
        energyMj: 5_551_899_580,
        temperatureCelsius: 32,
        healthy: true,
      },
    ])
  })

  it('with MIG: adds the memory of instances, takes what is repeated for each once', () => {
    expect(known(parseDcgm(recorded('dcgm-a800-mig.txt')))).toEqual([
      {
        source: 'dcgm',
        index: 0,
        model: 'NVIDIA A800-SXM4-80GB',
        memoryUsedMib: 30,
        powerWatts: 78.174,
        energyMj: 257_858_316,
        temperatureCelsius: 33,
      },
      {
        source: 'dcgm',
        index: 1,
        model: 'NVIDIA A800-SXM4-80GB',
        memoryUsedMib: 2,
        memoryTotalMib: 81_228,
        temperatureCelsius: 27,
        healthy: true,
      },
    ])
  })

  it('a blank value of the library (dcgm_structs.h) is not known', () => {
    const text = (['GPU_UTIL', 'FB_USED', 'FB_FREE', 'POWER_USAGE', 'GPU_TEMP'] as const)
      .map((name) => `DCGM_FI_DEV_${name}{gpu="0",modelName="X"} 2147483632`)
      .join('\n')
    const energy = 'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0",modelName="X"} 9223372036854775792'
    expect(known(parseDcgm(`${text}\n${energy}\n`))).toEqual([
      { source: 'dcgm', index: 0, model: 'X' },
    ])
  })
})

describe('npu-smi', () => {
  it('reads NPUs with one chip', () => {
    const readings = parseNpuSmi(recorded('npu-smi-910b3.txt'))
    expect(readings.map(({ index }) => index)).toEqual([0, 1, 7])
    expect(known(readings)[0]).toEqual({
      source: 'npu-smi',
      index: 0,
      model: '910B3',
      busyPct: 0,
      memoryUsedMib: 3_318,
      memoryTotalMib: 65_536,
      powerWatts: 101.8,
      temperatureCelsius: 43,
      healthy: true,
    })
  })

  it('reads two chips on one NPU: the power of both stands at the first', () => {
    const chip = { source: 'npu-smi', model: 'Ascend910', busyPct: 7, healthy: true }
    const memoryTotalMib = 65_536
    expect(known(parseNpuSmi(recorded('npu-smi-910-two-chips.txt')))).toEqual([
      {
        ...{ ...chip, index: 0, memoryUsedMib: 61_609, memoryTotalMib },
        ...{ powerWatts: 211.3, temperatureCelsius: 43 },
      },
      { ...chip, index: 1, memoryUsedMib: 61_625, memoryTotalMib, temperatureCelsius: 44 },
    ])
  })

  it('reads models without HBM, and takes no process for a chip', () => {
    const chip = { source: 'npu-smi', model: '310P3', busyPct: 0, healthy: true }
    expect(known(parseNpuSmi(recorded('npu-smi-310p3.txt')))).toEqual([
      { ...chip, index: 0, memoryUsedMib: 1_529, memoryTotalMib: 44_280, temperatureCelsius: 51 },
      { ...chip, index: 1, memoryUsedMib: 1_411, memoryTotalMib: 43_693, temperatureCelsius: 49 },
    ])
  })

  it.each([
    ['OK', true],
    ['Warning', true],
    ['Alarm', false],
    ['Critical', false],
    ['UNKNOWN', undefined],
  ])('health %s is %s', (health, healthy) => {
    const text = recorded('npu-smi-910b3.txt').replace('| OK ', `| ${health} `)
    expect(parseNpuSmi(text)[0]?.healthy).toBe(healthy)
  })
})

describe('rocm-smi', () => {
  it('reads bytes, watts and microjoules', () => {
    const card = {
      ...{ source: 'rocm-smi', model: 'Arcturus GL-XL [Instinct MI100]', busyPct: 0 },
      ...{ memoryUsedMib: 6, memoryTotalMib: 32_752 },
    }
    expect(known(parseRocmSmi(recorded('rocm-smi-mi100.json')))).toEqual([
      { ...card, index: 0, powerWatts: 36, temperatureCelsius: 55 },
      { ...card, index: 1, powerWatts: 44, temperatureCelsius: 58 },
    ])
    expect(parseRocmSmi(recorded('rocm-smi-mi250.json'))[0]).toMatchObject({
      energyMj: 962_825_096_297,
      powerWatts: 89,
      memoryTotalMib: undefined,
    })
  })

  it('reads the names that older and newer releases use, behind warnings', () => {
    const [old] = parseRocmSmi(recorded('rocm-smi-rx6700xt-430.json'))
    expect(old).toMatchObject({ model: 'AMD (unknown)', memoryTotalMib: 12_272, powerWatts: 6 })
    const [now] = parseRocmSmi(`WARNING: low power\n${recorded('rocm-smi-rx6700xt-612.json')}`)
    expect(now).toMatchObject({ model: 'Navi 22 [Radeon RX 6700/6700 XT / 6800M]', busyPct: 0 })
    const socket = '{"card0": {"Current Socket Graphics Package Power (W)": 133.0}}'
    expect(parseRocmSmi(socket)[0]?.powerWatts).toBe(133)
  })
})

const PARSERS = {
  nvidia: parseNvidiaSmiReadings,
  dcgm: parseDcgm,
  npu: parseNpuSmi,
  rocm: parseRocmSmi,
}
const RECORDED: readonly (readonly [keyof typeof PARSERS, string])[] = [
  ['nvidia', 'nvidia-smi-h200-mig.txt'],
  ['nvidia', 'nvidia-smi-a6000-errors.txt'],
  ['dcgm', 'dcgm-l40s.txt'],
  ['dcgm', 'dcgm-a800-mig.txt'],
  ['npu', 'npu-smi-910b3.txt'],
  ['npu', 'npu-smi-910-two-chips.txt'],
  ['npu', 'npu-smi-310p3.txt'],
  ['rocm', 'rocm-smi-mi100.json'],
  ['rocm', 'rocm-smi-mi250.json'],
]

const inRange = (value: number | undefined, min: number, max: number) =>
  value === undefined || (value >= min && value <= max)

function sane(reading: DeviceReading): boolean {
  const { index, busyPct, memoryUsedMib, memoryTotalMib, powerWatts, energyMj } = reading
  return (
    Number.isInteger(index) &&
    inRange(busyPct, 0, 100) &&
    inRange(memoryTotalMib, 1, 10_000_000) &&
    inRange(memoryUsedMib, 0, memoryTotalMib ?? 10_000_000) &&
    inRange(powerWatts, 0, 10_000) &&
    inRange(energyMj, 0, Number.MAX_SAFE_INTEGER) &&
    inRange(reading.temperatureCelsius, -50, 200)
  )
}

describe('whatever a tool prints', () => {
  it('gives numbers that can be, or none', () => {
    const words = fc.constantFrom(
      '-',
      'N/A',
      '[N/A]',
      'ERR!',
      '1e309',
      '-7',
      '0x7f',
      '99999999',
      '',
    )
    const garbled = fc.record({
      of: fc.constantFrom(...RECORDED),
      at: fc.nat(),
      length: fc.integer({ min: 0, max: 12 }),
      by: fc.oneof(words, fc.string({ maxLength: 6 })),
    })
    const one = fc.property(garbled, ({ of: [tool, file], at, length, by }) => {
      const text = recorded(file)
      const from = at % text.length
      const changed = `${text.slice(0, from)}${by}${text.slice(from + length)}`
      expect(PARSERS[tool](changed).every(sane)).toBe(true)
    })
    fc.assert(one, { numRuns: 3_000 })
  })

  it('a number that is garbled is not known: it never becomes 0', () => {
    const one = fc.property(fc.constantFrom(...RECORDED), fc.nat(), ([tool, file], which) => {
      const text = recorded(file)
      const numbers = [...text.matchAll(/(?<=[ "|(]|\} )\d+(\.\d+)?(?=[ ",|/)\n])/g)]
      const found = numbers[which % numbers.length]!
      const changed = `${text.slice(0, found.index)}?${text.slice(found.index + found[0].length)}`
      const before = PARSERS[tool](text).flatMap((reading) => Object.values(reading))
      const zeros = (values: readonly unknown[]) => values.filter((value) => value === 0).length
      const after = PARSERS[tool](changed).flatMap((reading) => Object.values(reading))
      expect(zeros(after)).toBeLessThanOrEqual(zeros(before))
    })
    fc.assert(one, { numRuns: 2_000 })
  })

  it('anything at all is read without a fault', () => {
    const one = fc.property(fc.string({ maxLength: 300 }), (text) => {
      for (const parse of Object.values(PARSERS)) expect(parse(text).every(sane)).toBe(true)
    })
    fc.assert(one, { numRuns: 1_000 })
  })
})
