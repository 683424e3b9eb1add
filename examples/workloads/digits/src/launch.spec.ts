import { expect, test } from 'vitest'
import { EXIT } from './errors.ts'
import { launchFromEnv, optionsFromArgv } from './launch.ts'

const torchrun = {
  RANK: '3',
  WORLD_SIZE: '4',
  LOCAL_RANK: '1',
  LOCAL_WORLD_SIZE: '2',
  GROUP_RANK: '1',
  MASTER_ADDR: '127.0.0.1',
  MASTER_PORT: '29500',
  TORCHELASTIC_RESTART_COUNT: '2',
  TORCHELASTIC_RUN_ID: 'job-1',
}

test('the variables of torchrun describe this rank', () => {
  expect(launchFromEnv(torchrun)).toMatchObject({
    runId: 'job-1',
    generation: 2,
    rank: 3,
    worldSize: 4,
    localRank: 1,
    localWorldSize: 2,
    groupRank: 1,
    masterHost: '127.0.0.1',
    masterPort: 29_500,
    checkpointDir: undefined,
  })
})

test('the platform’s generation comes before the restart count', () => {
  expect(launchFromEnv({ ...torchrun, SAI_GENERATION: '7' }).generation).toBe(7)
})

test('without variables it is a gang of one', () => {
  expect(launchFromEnv({})).toMatchObject({ rank: 0, worldSize: 1, runId: 'none', generation: 0 })
})

test.each([
  [{ RANK: '4' }, /RANK: want a whole number from 0 to 3, got "4"/],
  [{ RANK: '-1' }, /RANK/],
  [{ WORLD_SIZE: 'four' }, /WORLD_SIZE: .* got "four"/],
  [{ LOCAL_RANK: '2' }, /LOCAL_RANK: want a whole number from 0 to 1/],
  [{ MASTER_PORT: '' }, /MASTER_PORT: required/],
  [{ MASTER_PORT: '65536' }, /MASTER_PORT/],
  [{ SAI_GENERATION: '1.5' }, /SAI_GENERATION/],
])('%o is refused', (change, message) => {
  expect(() => launchFromEnv({ ...torchrun, ...change })).toThrow(
    expect.objectContaining({ exitCode: EXIT.usage, message: expect.stringMatching(message) }),
  )
})

test('options are read, the rest keep their defaults', () => {
  const options = optionsFromArgv(['--epochs', '3', '--lr', '0.05', '--step-delay-ms', '15'])
  expect(options).toMatchObject({ epochs: 3, learningRate: 0.05, stepDelayMs: 15, hidden: 128 })
})

test.each([
  [['--epoch', '3'], /--epoch/],
  [['--epochs', '0'], /--epochs: want a whole number from 1 to 10000, got "0"/],
  [['--lr', 'fast'], /--lr: want a number/],
  [['train.csv'], /train\.csv/],
])('%j is refused with the usage', (argv, message) => {
  expect(() => optionsFromArgv(argv)).toThrow(
    expect.objectContaining({ exitCode: EXIT.usage, message: expect.stringMatching(message) }),
  )
  expect(() => optionsFromArgv(argv)).toThrow(/usage: main/)
})
