import { stringify } from 'yaml'

/**
 * Description of a small job of `team-a`: a process that ends well on one device, where `spec` says
 * nothing else.
 */
export const jobManifest = (name: string, spec: Readonly<Record<string, unknown>> = {}): string =>
  stringify({
    apiVersion: 'serverlessai.job/v1',
    kind: 'Job',
    metadata: { name },
    spec: {
      queue: 'team-a',
      command: ['true'],
      resources: { devices: 1, cpu: '50m', memory: '32Mi' },
      ...spec,
    },
  })
