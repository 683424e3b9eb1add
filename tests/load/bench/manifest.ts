import { stringify } from 'yaml'

/** A description like no other: nothing is gained by remembering texts. */
export function benchManifest(init: {
  readonly queue: string
  readonly tasks: number
  readonly number: number
}): string {
  const { queue, tasks, number } = init
  return stringify({
    apiVersion: 'serverlessai.job/v1',
    kind: 'Job',
    metadata: { name: `bench-${tasks}-${number}` },
    spec: {
      queue,
      tasks,
      command: ['true'],
      resources: { devices: 1, cpu: '100m', memory: '128Mi' },
    },
  })
}
