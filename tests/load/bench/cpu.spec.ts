import { expect, it } from 'vitest'
import { cpuSeconds } from '../../support/process-tree.ts'
import {
  type CpuUse,
  cpuPerThing,
  machineSeconds,
  machineText,
  mostPerSecond,
  watchCpu,
} from './cpu.ts'

const use: CpuUse = {
  seconds: new Map([
    ['mediator', 1.5],
    ['load', 0.5],
  ]),
  machineSeconds: 6,
  wallSeconds: 4,
  cores: 2,
}

it('takes time at work from /proc/stat: not idle, not waiting for a disk, no guest twice', () => {
  const stat = 'cpu  100 20 30 9999 8888 4 5 6 7777 6666\ncpu0 1 1 1 1 1 1 1 1 1 1\n'
  expect(machineSeconds(stat)).toBe(1.65)
})

it('tells the CPU time of one thing in ms', () => {
  expect(cpuPerThing(use, 100)).toBe('mediator 15.0, load 5.00')
})

it('tells how many the cores could do if they did nothing else', () => {
  expect(mostPerSecond(use, 100)).toBe(100)
})

it('tells apart what the machine did for others', () => {
  expect(machineText(use)).toBe('2 cores were busy for 75 % of the time, 50 % with other work')
})

it('counts a process that came meanwhile as a whole, and one that is gone as nothing', () => {
  let parts = new Map<string, number>()
  const look = watchCpu(() => parts)
  parts = new Map([
    ['came', process.ppid],
    ['gone', 2 ** 30],
  ])
  const spent = cpuSeconds(process.ppid)
  const { seconds } = look()
  expect([...seconds.keys()]).toEqual(['came', 'gone', 'load'])
  expect(seconds.get('came')).toBeGreaterThanOrEqual(spent)
  expect(seconds.get('gone')).toBe(0)
  expect(seconds.get('load')).toBeLessThan(cpuSeconds(process.pid))
})
