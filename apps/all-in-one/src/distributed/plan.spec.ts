import { readFileSync } from 'node:fs'
import { loadConfig } from '@serverless-ai/config'
import { SERVICE_NAMES } from '@serverless-ai/hosting'
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { allInOneConfig, REPLICAS_MAX } from '../config.ts'
import { addressesOf, planProcesses } from './plan.ts'

const planned = (...argv: string[]) => {
  const kafka = ['--kafka.brokers', '127.0.0.1:9092']
  const config = loadConfig(allInOneConfig, { argv: [...kafka, ...argv] })
  return planProcesses({ config, dataDir: '/data', replicationFactor: 1 })
}

it('each replica has ports, files and a name of its own', () => {
  const plan = planned('--replicas', String(REPLICAS_MAX))
  expect(plan).toHaveLength(SERVICE_NAMES.length * REPLICAS_MAX + 1)
  const ports = plan.flatMap(({ address, health }) => [address, health.replace('http://', '')])
  expect(new Set(ports).size).toBe(2 * plan.length)
  expect(new Set(plan.map(({ configFile }) => configFile)).size).toBe(plan.length)
  expect(plan[0]).toMatchObject({
    name: 'mediator-r1',
    address: '127.0.0.1:7080',
    health: 'http://127.0.0.1:7081',
    configFile: '/data/processes/mediator-r1.json',
  })
})

it('leaves out what is not wanted, and nobody else moves or asks for it', () => {
  const all = planned()
  const without = ['sla-monitor', 'autoscaler', 'gateway']
  const plan = planned('--without', without.join(','))
  expect(plan).toEqual(
    all
      .filter(({ service }) => !without.includes(service))
      .map((one) => {
        const { 'sla-monitor': _, autoscaler: __, ...peers } = Object(one.config['peers'])
        return { ...one, config: { ...one.config, peers } }
      }),
  )
})

it('refuses to leave out what others need', () => {
  expect(() => planned('--without', 'scheduler')).toThrow(/without/)
  const half = () => planned('--without', 'resource-profiler')
  expect(half).toThrow('names resource-profiler, which the autoscaler needs: name both')
})

it('all of them know each other, and share directory, brokers and copies', () => {
  const plan = planned('--replicas', '2', '--port', '8000')
  const pool = '127.0.0.1:8030,127.0.0.1:8032'
  expect(addressesOf(plan, 'pool-manager')).toBe(pool)
  for (const { config, service } of plan) {
    if (service === 'gateway') continue
    expect(config).toMatchObject({
      data: '/data',
      replicas: ['r1', 'r2'],
      peers: { 'pool-manager': pool },
      kafka: { brokers: ['127.0.0.1:9092'], replicationFactor: 1 },
    })
  }
})

it('the edge is one process, where callers of one process would find it, and no service', () => {
  const plan = planned('--replicas', '2', '--port', '8000', '--edge.hold-ms', '5000')
  const gateway = plan.at(-1)
  expect(gateway).toMatchObject({
    name: 'gateway-r1',
    address: '127.0.0.1:8004',
    config: {
      replicas: ['r1'],
      peers: { scheduler: '127.0.0.1:8020,127.0.0.1:8022' },
      edge: { host: '127.0.0.1', port: 8_002, holdMs: 5_000 },
    },
  })
  expect(addressesOf(plan)).not.toContain('8004')
})

it('a service is told its own settings, no other', () => {
  const plan = planned('--lease-ms', '5000', '--workspaces-max-mib', '512')
  const of = (service: string) => plan.find((one) => one.service === service)?.config
  expect(of('pool-manager')).toMatchObject({ leaseMs: 5_000 })
  expect(of('mediator')).toMatchObject({ workspaces: { maxTotalMib: 512 } })
  expect(Object.keys(of('scheduler') ?? {})).not.toContain('leaseMs')
  const edge = planned('--edge.classes', 'vip,rest', '--edge.default-class', 'rest')
  const classesAt = (service: string) =>
    edge.find((one) => one.service === service)?.config['classes']
  // Who names classes has to know those that the edge has.
  expect(classesAt('mediator')).toEqual(['vip', 'rest'])
  expect(classesAt('sla-monitor')).toEqual(['vip', 'rest'])
})

it.each(['1', '2'])('Prometheus scrapes every process where there are %s replicas', (replicas) => {
  const file = new URL('../../../../infra/prometheus/local-kafka.yml', import.meta.url)
  const groups: { targets: string[] }[] = parse(readFileSync(file, 'utf8'))
  const scraped = groups.slice(0, Number(replicas)).flatMap(({ targets }) => targets)
  const served = planned('--replicas', replicas).map(({ health }) => health.replace('http://', ''))
  expect(scraped.sort()).toEqual(served.sort())
})
